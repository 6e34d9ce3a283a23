#include "net/grpc/grpc_server_stream.h"

#include <utility>

namespace kvasir {
namespace {

// "application/grpc", "application/grpc+proto", "application/grpc;...", and not
// "application/grpc-web".
bool is_grpc(std::string_view content_type) {
  constexpr std::string_view kType = "application/grpc";
  if (content_type.substr(0, kType.size()) != kType) return false;
  return content_type.size() == kType.size() || content_type[kType.size()] == '+' ||
         content_type[kType.size()] == ';';
}

// The form of grpc-message: percent-encoded UTF-8.
std::string message_encoded(std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string result;
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte >= 0x20 && byte <= 0x7e && byte != '%') {
      result += character;
    } else {
      result.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
  return result;
}

}  // namespace

std::optional<std::string_view> GrpcServerStream::metadata(std::string_view name) const {
  std::string_view rest = fields_;
  while (!rest.empty()) {
    const std::string_view key = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(key.size() + 1);
    const std::string_view value = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(value.size() + 1);
    if (key == name) return value;
  }
  return std::nullopt;
}

// --- Request
// ---------------------------------------------------------------------------------------

void GrpcServerStream::on_field(std::string_view name, std::string_view value) {
  fields_too_large_ = !take_field(name, value);
  if (fields_too_large_) return;
  if (name == ":path") {
    path_ = value;
  } else if (name == ":method") {
    post_ = value == "POST";
  } else if (name == "content-type") {
    content_type_ = value;
  } else {
    fields_.append(name).append(1, '\0').append(value).append(1, '\0');
  }
}

void GrpcServerStream::on_head_end(bool) {
  if (!post_) return refuse_http(405);
  if (!is_grpc(content_type_)) return refuse_http(415);
  if (fields_too_large_) {
    return finish(GrpcCode::kResourceExhausted, "the request's metadata is too large");
  }
  GrpcService* service = connection_.find(path_);
  if (service == nullptr) return finish(GrpcCode::kUnimplemented, "unknown method " + path_);
  service->on_call(*this);
}

void GrpcServerStream::refuse_http(int status) {
  finished_ = true;
  const std::string text = std::to_string(status);
  connection_.session().respond(id_, {{":status", text}}, false);
}

void GrpcServerStream::on_data(std::string_view bytes) {
  if (finished_) return;
  const GrpcDeframer::Failure failure = deframe(bytes);
  if (finished_) return;
  if (failure != GrpcDeframer::Failure::kNone) return fail(failure);
  if (buffered_too_much()) {
    lose(GrpcCode::kResourceExhausted, "too many bytes are buffered for this connection");
  }
}

bool GrpcServerStream::on_message(std::string_view message) {
  if (!finished_ && observer_ != nullptr) observer_->on_message(message);
  return !finished_;
}

void GrpcServerStream::fail(GrpcDeframer::Failure failure) {
  switch (failure) {
    case GrpcDeframer::Failure::kCompressed:
      return lose(GrpcCode::kUnimplemented, "compressed messages are not supported");
    case GrpcDeframer::Failure::kTooLarge:
      return lose(GrpcCode::kResourceExhausted, "the message is larger than this server accepts");
    default:
      return lose(GrpcCode::kInternal, "the message framing is not gRPC");
  }
}

// Ends the call from this side while its observer still counts on it.
void GrpcServerStream::lose(GrpcCode code, std::string_view message) {
  Observer* observer = std::exchange(observer_, nullptr);
  finish(code, message);
  if (observer != nullptr) observer->on_gone();
}

void GrpcServerStream::on_half_close() {
  if (finished_) return;
  if (inside_message()) return fail(GrpcDeframer::Failure::kBadFlags);
  if (observer_ != nullptr) observer_->on_half_close();
}

// --- Answer
// ----------------------------------------------------------------------------------------

void GrpcServerStream::start_answer() {
  if (std::exchange(started_, true)) return;
  connection_.session().respond(id_, {{":status", "200"}, {"content-type", "application/grpc"}},
                                true);
}

void GrpcServerStream::send(std::string_view first, std::string_view second) {
  if (finished_) return;
  const bool was_empty = unsent_bytes() == 0;
  if (!queue(first, second)) {
    finished_ = true;  // the observer is told when the session has closed the stream
    code_ = GrpcCode::kResourceExhausted;
    connection_.session().reset(id_, Http2Error::kEnhanceYourCalm);
    return connection_.schedule_write();
  }
  const bool was_started = started_;
  start_answer();
  if (was_started && was_empty) connection_.session().resume(id_);
  connection_.schedule_write();
}

void GrpcServerStream::finish(GrpcCode code, std::string_view message) {
  if (finished_) return;
  finished_ = true;
  observer_ = nullptr;
  code_ = code;
  message_ = message_encoded(message);
  connection_.schedule_write();
  if (started_) return connection_.session().resume(id_);
  const std::string number = std::to_string(static_cast<int>(code_));
  connection_.session().respond(id_,
                                {{":status", "200"},
                                 {"content-type", "application/grpc"},
                                 {"grpc-status", number},
                                 {"grpc-message", message_}},
                                false);
}

bool GrpcServerStream::send_trailers() {
  const std::string number = std::to_string(static_cast<int>(code_));
  std::vector<Http2Field> trailers = {{"grpc-status", number}};
  if (!message_.empty()) trailers.push_back({"grpc-message", message_});
  connection_.session().send_trailers(id_, trailers);
  return true;
}

void GrpcServerStream::on_output_drained() {
  if (!finished_ && observer_ != nullptr) observer_->on_drained();
}

void GrpcServerStream::on_closed(uint32_t) {
  finished_ = true;
  Observer* observer = std::exchange(observer_, nullptr);
  if (observer != nullptr) observer->on_gone();
}

}  // namespace kvasir
