#include "conformance/scripted_exchange.h"

#include <utility>

namespace kvasir {
namespace {

constexpr char kProcessPath[] = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

ReceivedPtr receive(std::string_view message) {
  auto received = std::make_shared<Received>();
  received->bytes = message;
  Result<ExtProcAnswer> answer = read_ext_proc_answer(received->bytes);
  if (answer) {
    received->answer = std::move(*answer);
  } else {
    received->malformed = answer.error().message;
  }
  return received;
}

}  // namespace

// No deadline on the call: each awaited answer has its own.
ScriptedExchange::ScriptedExchange(Subject& subject, GrpcClient& client)
    : subject_(subject), call_(&client.start(kProcessPath, *this, Duration::zero())) {}

ScriptedExchange::~ScriptedExchange() {
  cancel();
}

void ScriptedExchange::send_headers(ExtProcSide side, const std::vector<ExtProcHeader>& headers,
                            bool end_of_stream, const ExtProcContext& context) {
  write_headers_request(side, headers, end_of_stream, context, message_);
  send();
}

void ScriptedExchange::send_body(ExtProcSide side, std::string_view body, bool end_of_stream,
                         const ExtProcContext& context) {
  write_body_request(side, body, end_of_stream, context, message_);
  send();
}

void ScriptedExchange::send_trailers(ExtProcSide side, const std::vector<ExtProcHeader>& trailers) {
  write_trailers_request(side, trailers, {}, message_);
  send();
}

void ScriptedExchange::send_bytes(std::string_view message) {
  message_ = message;
  send();
}

void ScriptedExchange::send() {
  if (call_ != nullptr) call_->send(message_);
}

void ScriptedExchange::flush() {
  subject_.run_until([this] { return call_ == nullptr || call_->unsent_bytes() == 0; });
}

void ScriptedExchange::half_close() {
  if (call_ != nullptr) call_->half_close();
}

void ScriptedExchange::cancel() {
  if (call_ != nullptr) std::exchange(call_, nullptr)->cancel();
}

ReceivedPtr ScriptedExchange::next() {
  subject_.run_until([this] { return !received_.empty() || ended_; });
  return next_waiting();
}

ReceivedPtr ScriptedExchange::next_waiting() {
  if (received_.empty()) return nullptr;
  ReceivedPtr first = std::move(received_.front());
  received_.pop_front();
  return first;
}

bool ScriptedExchange::wait_for_end() {
  return subject_.run_until([this] { return ended_; });
}

std::string ScriptedExchange::trouble() const {
  if (!ended_) {
    const auto ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(subject_.options().timeout);
    return "nothing came within " + std::to_string(ms.count()) + " ms";
  }
  std::string text = "the stream ended with gRPC status " + std::to_string(status_.code);
  return status_.message.empty() ? text : text + ": " + status_.message;
}

void ScriptedExchange::on_message(std::string_view message) {
  received_.push_back(receive(message));
  subject_.wake();
}

void ScriptedExchange::on_end(const GrpcStatus& status) {
  call_ = nullptr;
  ended_ = true;
  status_ = status;
  subject_.wake();
}

std::string describe(const ExtProcAnswer& answer) {
  switch (answer.kind) {
    case ExtProcAnswer::Kind::kNone:
      return "an answer of no known kind";
    case ExtProcAnswer::Kind::kRequestHeaders:
      return "an answer to request headers";
    case ExtProcAnswer::Kind::kResponseHeaders:
      return "an answer to response headers";
    case ExtProcAnswer::Kind::kRequestBody:
      return "an answer to a request body";
    case ExtProcAnswer::Kind::kResponseBody:
      return "an answer to a response body";
    case ExtProcAnswer::Kind::kRequestTrailers:
      return "an answer to request trailers";
    case ExtProcAnswer::Kind::kResponseTrailers:
      return "an answer to response trailers";
    case ExtProcAnswer::Kind::kImmediate:
      break;
  }
  return "an ImmediateResponse with status " + std::to_string(answer.status) + " '" +
         std::string(answer.body.substr(0, 200)) + "'";
}

}  // namespace kvasir
