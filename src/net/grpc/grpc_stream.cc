#include "net/grpc/grpc_stream.h"

#include <utility>

#include "net/grpc/grpc_connection.h"

namespace kvasir {
namespace {

// An output buffer that grew beyond this is not kept for the next message.
constexpr size_t kKeptStreamBytes = 16 * 1024;

// "application/grpc", "application/grpc+proto", "application/grpc;...", and not "application/grpc-web".
bool is_grpc(std::string_view content_type) {
  constexpr std::string_view kType = "application/grpc";
  if (content_type.substr(0, kType.size()) != kType) return false;
  return content_type.size() == kType.size() || content_type[kType.size()] == '+' ||
         content_type[kType.size()] == ';';
}

// The form of grpc-message: percent-encoded UTF-8.
std::string percent_encoded(std::string_view text) {
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

GrpcStream::GrpcStream(GrpcConnection& connection, int32_t id)
    : connection_(connection), id_(id), deframer_(connection.limits().message_bytes) {}

GrpcStream::~GrpcStream() {
  connection_.add_buffered(-static_cast<ptrdiff_t>(deframer_.buffered_bytes() + unsent_bytes()));
}

std::optional<std::string_view> GrpcStream::metadata(std::string_view name) const {
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

// --- Request ---------------------------------------------------------------------------------------

void GrpcStream::on_field(std::string_view name, std::string_view value) {
  head_bytes_ += name.size() + value.size();
  if (head_bytes_ > connection_.limits().head_bytes) return;
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

void GrpcStream::on_head_end() {
  if (!post_) return refuse_http(405);
  if (!is_grpc(content_type_)) return refuse_http(415);
  if (head_bytes_ > connection_.limits().head_bytes) {
    return finish(GrpcCode::kResourceExhausted, "the request's metadata is too large");
  }
  GrpcService* service = connection_.find(path_);
  if (service == nullptr) return finish(GrpcCode::kUnimplemented, "unknown method " + path_);
  service->on_call(*this);
}

void GrpcStream::refuse_http(int status) {
  finished_ = true;
  const std::string text = std::to_string(status);
  connection_.session().respond(id_, {{":status", text}}, false);
}

void GrpcStream::on_data(std::string_view bytes) {
  if (finished_) return;
  const size_t before = deframer_.buffered_bytes();
  const GrpcDeframer::Failure failure = deframer_.feed(bytes, *this);
  connection_.add_buffered(static_cast<ptrdiff_t>(deframer_.buffered_bytes()) -
                           static_cast<ptrdiff_t>(before));
  if (finished_) return;
  if (failure != GrpcDeframer::Failure::kNone) return fail(failure);
  if (deframer_.inside_message() && connection_.buffered_too_much()) {
    code_ = GrpcCode::kResourceExhausted;
    message_ = "too many bytes are buffered for this connection";
    lose();
  }
}

bool GrpcStream::on_message(std::string_view message) {
  if (!finished_ && observer_ != nullptr) observer_->on_message(message);
  return !finished_;
}

void GrpcStream::fail(GrpcDeframer::Failure failure) {
  switch (failure) {
    case GrpcDeframer::Failure::kCompressed:
      code_ = GrpcCode::kUnimplemented;
      message_ = "compressed messages are not supported";
      break;
    case GrpcDeframer::Failure::kTooLarge:
      code_ = GrpcCode::kResourceExhausted;
      message_ = "the message is larger than this server accepts";
      break;
    default:
      code_ = GrpcCode::kInternal;
      message_ = "the message framing is not gRPC";
  }
  lose();
}

// Ends the call from this side while its observer still counts on it.
void GrpcStream::lose() {
  Observer* observer = std::exchange(observer_, nullptr);
  const std::string message = message_;
  finish(code_, message);
  if (observer != nullptr) observer->on_gone();
}

void GrpcStream::on_half_close() {
  half_closed_ = true;
  if (finished_) return;
  if (deframer_.inside_message()) return fail(GrpcDeframer::Failure::kBadFlags);
  if (observer_ != nullptr) observer_->on_half_close();
}

// --- Answer ----------------------------------------------------------------------------------------

void GrpcStream::start_answer() {
  if (std::exchange(started_, true)) return;
  connection_.session().respond(
      id_, {{":status", "200"}, {"content-type", "application/grpc"}}, true);
}

void GrpcStream::send(std::string_view first, std::string_view second) {
  if (finished_) return;
  const size_t size = first.size() + second.size();
  const auto head = grpc_frame_head(static_cast<uint32_t>(size));
  const bool was_empty = unsent_bytes() == 0;
  output_.append({head.data(), head.size()});
  output_.append(first);
  output_.append(second);
  connection_.add_buffered(static_cast<ptrdiff_t>(head.size() + size));
  const bool over = unsent_bytes() > connection_.limits().stream_output_bytes;
  if (over || connection_.buffered_too_much()) {
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

void GrpcStream::finish(GrpcCode code, std::string_view message) {
  if (finished_) return;
  finished_ = true;
  observer_ = nullptr;
  code_ = code;
  message_ = percent_encoded(message);
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

void GrpcStream::send_trailers() {
  const std::string number = std::to_string(static_cast<int>(code_));
  std::vector<Http2Field> trailers = {{"grpc-status", number}};
  if (!message_.empty()) trailers.push_back({"grpc-message", message_});
  connection_.session().send_trailers(id_, trailers);
}

std::string_view GrpcStream::take_output(size_t size) {
  const std::string_view taken = output_.view().substr(taken_, size);
  taken_ += taken.size();
  connection_.add_buffered(-static_cast<ptrdiff_t>(taken.size()));
  return taken;
}

void GrpcStream::on_written() {
  if (unsent_bytes() > 0) return;
  output_.clear();
  taken_ = 0;
  if (output_.capacity() > kKeptStreamBytes) output_.release();
  if (!finished_ && observer_ != nullptr) observer_->on_drained();
}

void GrpcStream::on_closed() {
  finished_ = true;
  Observer* observer = std::exchange(observer_, nullptr);
  if (observer != nullptr) observer->on_gone();
}

}  // namespace kvasir
