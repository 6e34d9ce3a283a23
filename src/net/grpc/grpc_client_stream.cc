#include "net/grpc/grpc_client_stream.h"

#include <charconv>
#include <utility>

#include "base/text.h"

namespace kvasir {
namespace {

// The form of grpc-message: percent-encoded UTF-8. What is not well encoded stays as it is.
std::string percent_decoded(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
      if (high >= 0 && low >= 0) {
        result += static_cast<char>(high << 4 | low);
        i += 2;
        continue;
      }
    }
    result += text[i];
  }
  return result;
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

GrpcStatus status(GrpcCode code, std::string message) {
  return {static_cast<uint32_t>(code), std::move(message), false};
}

// gRPC's mapping of HTTP statuses and of HTTP/2 errors, for servers that do not say it in gRPC.
GrpcStatus status_of_http(int http_status) {
  const std::string message = "the server answered HTTP status " + std::to_string(http_status);
  switch (http_status) {
    case 400:
      return status(GrpcCode::kInternal, message);
    case 401:
      return status(GrpcCode::kUnauthenticated, message);
    case 403:
      return status(GrpcCode::kPermissionDenied, message);
    case 404:
      return status(GrpcCode::kUnimplemented, message);
    case 429:
    case 502:
    case 503:
    case 504:
      return status(GrpcCode::kUnavailable, message);
    default:
      return status(GrpcCode::kUnknown, message);
  }
}

GrpcStatus status_of_reset(uint32_t error) {
  const std::string message = "the stream was reset with HTTP/2 error " + std::to_string(error);
  switch (static_cast<Http2Error>(error)) {
    case Http2Error::kRefusedStream:
      return status(GrpcCode::kUnavailable, message);
    case Http2Error::kCancel:
      return status(GrpcCode::kCancelled, message);
    case Http2Error::kEnhanceYourCalm:
      return status(GrpcCode::kResourceExhausted, message);
    default:
      return status(GrpcCode::kInternal, message);
  }
}

}  // namespace

GrpcClientStream::GrpcClientStream(GrpcConnection& connection, Observer& observer)
    : GrpcStream(connection), loop_(connection.loop()), observer_(&observer) {}

GrpcClientStream::~GrpcClientStream() {
  loop_.cancel(deadline_);
}

void GrpcClientStream::start_deadline(Duration timeout) {
  if (timeout <= Duration::zero()) return;
  deadline_ = loop_.after(timeout, [this] {
    deadline_ = kNoTimer;
    connection_.session().reset(id_, Http2Error::kCancel);
    connection_.schedule_write();
    end(status(GrpcCode::kDeadlineExceeded, "the call's deadline passed"));
  });
}

// --- Request ---------------------------------------------------------------------------

void GrpcClientStream::send(std::string_view first, std::string_view second) {
  if (half_closed_ || !going() || id_ == 0) return;
  if (!queue(first, second)) {
    return abort(GrpcCode::kResourceExhausted, "the server does not take what is sent");
  }
  connection_.session().resume(id_);
  connection_.schedule_write();
}

void GrpcClientStream::half_close() {
  if (std::exchange(half_closed_, true)) return;
  connection_.session().resume(id_);
  connection_.schedule_write();
}

void GrpcClientStream::cancel() {
  observer_ = nullptr;
  loop_.cancel(std::exchange(deadline_, kNoTimer));
  connection_.session().reset(id_, Http2Error::kCancel);
  connection_.schedule_write();
}

void GrpcClientStream::on_output_drained() {
  if (going()) observer_->on_drained();
}

// --- Answer ----------------------------------------------------------------------------

void GrpcClientStream::on_field(std::string_view name, std::string_view value) {
  if (!take_field(name, value)) {
    return abort(GrpcCode::kResourceExhausted, "the answer's fields are too large");
  }
  if (name == ":status") {
    if (!read_number(value, http_status_)) http_status_ = 0;
  } else if (name == "grpc-status") {
    grpc_status_ = value;
  } else if (name == "grpc-message") {
    grpc_message_ = value;
  }
}

void GrpcClientStream::on_data(std::string_view bytes) {
  if (!going() || http_status_ != 200) return;
  switch (deframe(bytes)) {
    case GrpcDeframer::Failure::kNone:
      if (!buffered_too_much()) return;
      return abort(GrpcCode::kResourceExhausted, "too many bytes are buffered for this connection");
    case GrpcDeframer::Failure::kTooLarge:
      return abort(GrpcCode::kResourceExhausted, "the message is larger than this client accepts");
    default:
      return abort(GrpcCode::kInternal, "the message framing is not gRPC, or compressed");
  }
}

bool GrpcClientStream::on_message(std::string_view message) {
  if (going()) observer_->on_message(message);
  return going();
}

// --- End -------------------------------------------------------------------------------

// Ends the call from this side; the observer hears of it when the session has closed the stream.
void GrpcClientStream::abort(GrpcCode code, std::string_view message) {
  if (aborted_.code != 0) return;
  aborted_ = status(code, std::string(message));
  connection_.session().reset(id_, Http2Error::kCancel);
  connection_.schedule_write();
}

void GrpcClientStream::end(const GrpcStatus& status) {
  loop_.cancel(std::exchange(deadline_, kNoTimer));
  Observer* observer = std::exchange(observer_, nullptr);
  if (observer != nullptr) observer->on_end(status);
}

GrpcStatus GrpcClientStream::status_of(uint32_t error) const {
  if (aborted_.code != 0) return aborted_;
  if (!answered_ && !connection_.failure().empty()) {
    return status(GrpcCode::kUnavailable, connection_.failure());
  }
  if (!answered_) return status_of_reset(error);
  uint32_t code = 0;
  if (read_number(grpc_status_, code)) {
    if (code == 0 && inside_message()) {
      return status(GrpcCode::kInternal, "the answer ended inside a message");
    }
    return {code, percent_decoded(grpc_message_), true};
  }
  if (http_status_ != 200) return status_of_http(http_status_);
  return status(GrpcCode::kUnknown, "the answer ended without a grpc-status");
}

void GrpcClientStream::on_closed(uint32_t error) {
  end(status_of(error));
}

}  // namespace kvasir
