// One client connection of an HttpServer. Private to net/.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/lifeline.h"
#include "net/http/http1_parser.h"
#include "net/http/http_server.h"
#include "net/io/byte_buffer.h"
#include "net/io/deadline.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"
#include "net/io/transport.h"

namespace kvasir {

class HttpConnection final : public IoHandler, private Http1Parser::BodySink {
 public:
  HttpConnection(HttpServer& server, Descriptor socket);
  ~HttpConnection() override;

  void on_io(uint32_t events) override;
  // Closes at once unless a request is being read or answered.
  void close_if_idle();

 private:
  friend class HttpExchange;
  friend class HttpServer;

  enum class Phase : uint8_t {
    kIdle,       // between requests
    kHead,       // a head has begun
    kBody,       // the head is whole, the body is not
    kAnswering,  // the handler has the request
    kFlushing,   // the answer is complete, part of it is unsent
    kLingering,  // refused: input is thrown away until the client has read the answer and closes
  };

  // Reading
  void read_all();
  void on_readable();
  bool read_into_body();
  bool lost(Transport::Status status);
  bool charge();
  void give_body_back();
  void stop_charging();
  void consume(std::string_view bytes);
  void consume_input();
  size_t parse(std::string_view bytes);
  void arm_for_input();
  void on_body(std::string_view bytes) override;
  void on_parsed_head();
  bool expectation_is_met();
  void answer_request();
  void refuse(int status, std::string_view reason);
  void refuse_malformed();
  void on_end_of_input();
  void probe_client();

  // Answering
  std::string answer_head(int status, std::string_view fields, std::string_view framing) const;
  void send(std::string_view first, std::string_view second = {});
  void end_answer();
  void on_flushed();
  void next_request();
  void linger();

  void update_watch();
  void on_deadline();
  void client_gone();
  void close_now();

  HttpServer& server_;
  EventLoop& loop_;
  Transport transport_;
  Http1Parser parser_;
  ByteBuffer input_;  // bytes read and not yet consumed: pipelined requests
  ByteBuffer body_;
  HttpExchange exchange_;
  HttpExchange::Observer* observer_ = nullptr;
  Phase phase_ = Phase::kIdle;
  uint32_t watched_ = 0;
  Deadline deadline_;
  TimePoint body_due_{};     // the whole body is
  size_t charged_bytes_ = 0;  // of head and body, to the server's budget
  bool keep_alive_ = true;    // after the current answer
  bool chunked_answer_ = false;
  bool refused_ = false;
  bool answer_begun_ = false;  // some byte of the current answer was sent
  bool input_ended_ = false;   // the client sends no more: closed its side, or is gone
  bool closed_ = false;
  bool parsing_ = false;  // parse() is on the call stack
  Lifeline lifeline_;
};

}  // namespace kvasir
