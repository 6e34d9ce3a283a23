#include "net/grpc/grpc_stream.h"

namespace kvasir {
namespace {

// An output buffer that grew beyond this is not kept for the next message.
constexpr size_t kKeptStreamBytes = 16 * 1024;

}  // namespace

GrpcStream::GrpcStream(GrpcConnection& connection)
    : connection_(connection), deframer_(connection.limits().message_bytes) {}

GrpcStream::~GrpcStream() {
  // One that was never opened may outlive the connection, and holds nothing.
  const size_t held = deframer_.buffered_bytes() + output_size();
  if (held > 0) connection_.add_buffered(-static_cast<ptrdiff_t>(held));
}

bool GrpcStream::queue(std::string_view first, std::string_view second) {
  const size_t size = first.size() + second.size();
  const auto head = grpc_frame_head(static_cast<uint32_t>(size));
  output_.append({head.data(), head.size()});
  output_.append(first);
  output_.append(second);
  connection_.add_buffered(static_cast<ptrdiff_t>(head.size() + size));
  return output_size() <= connection_.limits().stream_output_bytes &&
         !connection_.buffered_too_much();
}

std::string_view GrpcStream::take_output(size_t size) {
  const std::string_view taken = output_.view().substr(taken_, size);
  taken_ += taken.size();
  connection_.add_buffered(-static_cast<ptrdiff_t>(taken.size()));
  return taken;
}

void GrpcStream::on_written() {
  if (output_size() > 0) return;
  output_.clear();
  taken_ = 0;
  if (output_.capacity() > kKeptStreamBytes) output_.release();
  on_output_drained();
}

GrpcDeframer::Failure GrpcStream::deframe(std::string_view bytes) {
  const size_t before = deframer_.buffered_bytes();
  const GrpcDeframer::Failure failure = deframer_.feed(bytes, *this);
  connection_.add_buffered(static_cast<ptrdiff_t>(deframer_.buffered_bytes()) -
                           static_cast<ptrdiff_t>(before));
  return failure;
}

bool GrpcStream::buffered_too_much() const {
  return deframer_.inside_message() && connection_.buffered_too_much();
}

bool GrpcStream::take_field(std::string_view name, std::string_view value) {
  head_bytes_ += name.size() + value.size();
  return head_bytes_ <= connection_.limits().head_bytes;
}

}  // namespace kvasir
