// One stream of an HTTP/2 client: a request and its answer. Private to net/.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "net/http/http2_request_head.h"
#include "net/http/http2_session.h"
#include "net/http/http_exchange.h"
#include "net/io/byte_buffer.h"

namespace kvasir {

class Http2ServerConnection;

class Http2Exchange final : public Http2Stream, private HttpExchange {
 public:
  Http2Exchange(Http2ServerConnection& connection, int32_t id);
  ~Http2Exchange() override;

  // For the connection, outside of the session.
  // The request is whole and nobody has it.
  bool waits_for_handler() const { return phase_ == Phase::kWhole; }
  void hand_over();
  // All output was taken and written.
  void on_written();
  // The session has ended the stream, with an error of HTTP/2 or 0. True: before its request was
  // answered.
  bool on_closed(uint32_t error);
  // Refuses or resets what is too slow. False: the connection cannot go on with it.
  bool check_time(TimePoint now);

  void on_field(std::string_view name, std::string_view value) override;
  void on_malformed_field() override { request_.note_malformed(); }
  void on_head_end(bool ends) override;
  void on_data(std::string_view bytes) override;
  void on_half_close() override;
  size_t output_size() const override { return output_.size() - taken_; }
  std::string_view take_output(size_t size) override;
  bool output_complete() const override { return phase_ == Phase::kAnswered; }
  bool send_trailers() override;

 private:
  enum class Phase : uint8_t {
    kHead,       // begun
    kBody,       // the head is whole, the body is not
    kWhole,      // about to go to the handler
    kAnswering,  // the handler has it
    kAnswered,   // the handler is done with it; some of the answer may be unsent
    kCut,        // the same, and the stream is reset behind what was written
    kClosed,
  };

  // HttpExchange
  const HttpHead& head() const override { return request_.head(); }
  void set_target(std::string_view target, std::string_view host) override;
  HttpHead& editable_head() override { return request_.editable_head(); }
  std::string_view body() const override { return body_.view(); }
  void release_body() override;
  void set_observer(HttpExchange::Observer* observer) override { observer_ = observer; }
  void respond(int status, std::string_view fields, std::string_view body) override;
  void start(int status, std::string_view fields) override;
  void write(std::string_view piece) override;
  void finish(std::string_view trailers) override;
  RawRelay* raw() override { return nullptr; }
  void abort() override;
  size_t unsent_bytes() const override { return output_size(); }

  bool charge();
  void refuse(int status, std::string_view reason);
  void refuse_large_body();
  void send_head(int status, std::string_view fields, bool with_body);
  void queue(std::string_view bytes);
  void end_answer(Phase phase);
  void reset(Http2Error why);
  bool is_bodiless(int status) const;

  Http2ServerConnection& connection_;
  const int32_t id_;
  Http2RequestHead request_;
  ByteBuffer body_;
  ByteBuffer output_;
  size_t taken_ = 0;          // of output_
  size_t charged_bytes_ = 0;  // of head and body, to the server's budget
  std::string late_fields_;   // of an answer without a body, until it is over
  std::string trailers_;
  HttpExchange::Observer* observer_ = nullptr;
  TimePoint began_;          // the head, then the body
  TimePoint last_progress_;  // of the body, then of the output
  int late_status_ = 0;      // 0: the head of the answer does not wait
  Phase phase_ = Phase::kHead;
};

}  // namespace kvasir
