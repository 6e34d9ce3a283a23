// One ext_proc stream, played as Envoy plays it: messages are sent at once, answers are taken in
// the order of their arrival.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/subject.h"
#include "wire/ext_proc/ext_proc_client.h"

namespace kvasir {

// A ProcessingResponse together with the bytes that it points into.
struct Received {
  std::string bytes;
  ExtProcAnswer answer;
  std::string malformed;  // not empty: the bytes are not a ProcessingResponse, and this is why
};
using ReceivedPtr = std::shared_ptr<const Received>;

class ScriptedExchange final : private GrpcClientCall::Observer {
 public:
  // `subject` must outlive the exchange.
  explicit ScriptedExchange(Subject& subject) : ScriptedExchange(subject, subject.client()) {}
  // With another picker than the subject's own, whose client `client` is.
  ScriptedExchange(Subject& subject, GrpcClient& client);
  // Resets the stream when it is still open, as Envoy does.
  ~ScriptedExchange() override;
  ScriptedExchange(const ScriptedExchange&) = delete;
  ScriptedExchange& operator=(const ScriptedExchange&) = delete;

  void send_headers(ExtProcSide side, const std::vector<ExtProcHeader>& headers, bool end_of_stream,
                    const ExtProcContext& context = {});
  void send_body(ExtProcSide side, std::string_view body, bool end_of_stream,
                 const ExtProcContext& context = {});
  void send_trailers(ExtProcSide side, const std::vector<ExtProcHeader>& trailers);
  void send_bytes(std::string_view message);
  // Waits until all that was sent is on its way: before that, pieces of one stream go out together.
  void flush();
  void half_close();
  void cancel();

  // The next answer; null when the stream ended, or nothing came in time: trouble() says which.
  ReceivedPtr next();
  // The next answer, if it is here already.
  ReceivedPtr next_waiting();
  // Awaits the end of the stream; false when it does not come in time.
  bool wait_for_end();

  bool ended() const { return ended_; }
  // The picker ended it with OK: what comes later passes by it.
  bool closed() const { return ended_ && status_.from_server && status_.ok(); }
  const GrpcStatus& status() const { return status_; }
  std::string trouble() const;

 private:
  void on_message(std::string_view message) override;
  void on_end(const GrpcStatus& status) override;
  void on_drained() override { subject_.wake(); }
  void send();

  Subject& subject_;
  GrpcClientCall* call_;  // null once it ended
  std::string message_;
  std::deque<ReceivedPtr> received_;
  bool ended_ = false;
  GrpcStatus status_;
};

// "request headers", "immediate response 503": for people.
std::string describe(const ExtProcAnswer& answer);

}  // namespace kvasir
