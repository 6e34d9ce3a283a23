// One client connection of an HttpServer, and the request on it. Private to net/.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/lifeline.h"
#include "net/http/http1_parser.h"
#include "net/http/http_connections.h"
#include "net/io/byte_buffer.h"
#include "net/io/deadline.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"
#include "net/io/transport.h"

namespace kvasir {

class Http1Connection final : public HttpConnection,
                              private HttpExchange,
                              private RawRelay,
                              private Http1Parser::BodySink {
 public:
  Http1Connection(HttpConnections& server, Descriptor socket);
  ~Http1Connection() override;

  void on_io(uint32_t events) override;
  void close_when_idle() override;

 private:
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
  void refuse_plain();
  bool charge();
  void give_body_back();
  void stop_charging();
  void consume(std::string_view bytes);
  void consume_input();
  size_t parse(std::string_view bytes);
  bool may_become_http2() const;
  void become_http2(std::string_view begun, std::string_view rest);
  void arm_for_input();
  void on_body(std::string_view bytes) override;
  void on_parsed_head();
  bool expectation_is_met();
  void answer_request();
  void refuse(int status, std::string_view reason);
  void refuse_malformed();
  void refuse_large_body();
  void on_end_of_input();
  void probe_client();

  // HttpExchange and RawRelay
  const HttpHead& head() const override { return parser_.head(); }
  void set_target(std::string_view target, std::string_view host) override;
  HttpHead& editable_head() override { return parser_.editable_head(); }
  std::string_view body() const override { return body_.view(); }
  void release_body() override;
  void set_observer(HttpExchange::Observer* observer) override { observer_ = observer; }
  void respond(int status, std::string_view fields, std::string_view body) override;
  void start(int status, std::string_view fields) override;
  void write(std::string_view piece) override;
  void finish(std::string_view trailers) override;
  RawRelay* raw() override { return this; }
  void abort() override;
  size_t unsent_bytes() const override { return transport_.unsent(); }
  bool client_keeps_alive() const override { return keep_alive_; }
  void start_raw(std::string_view head, bool keep_alive) override;
  size_t write_raw(std::string_view bytes) override;
  void finish_raw() override { end_answer(); }

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

  HttpConnections& server_;
  EventLoop& loop_;
  Transport transport_;
  Http1Parser parser_;
  ByteBuffer input_;  // bytes read and not yet consumed: pipelined requests
  ByteBuffer body_;
  HttpExchange::Observer* observer_ = nullptr;
  Phase phase_ = Phase::kIdle;
  uint32_t watched_ = 0;
  Deadline deadline_;
  TimePoint body_due_{};     // the whole body is
  size_t charged_bytes_ = 0;  // of head and body, to the server's budget
  bool fresh_ = true;         // no request was answered on it
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
