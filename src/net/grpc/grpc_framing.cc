#include "net/grpc/grpc_framing.h"

#include <algorithm>

namespace kvasir {
namespace {

// A buffer that grew beyond this is not kept for the next message.
constexpr size_t kKeptMessageBytes = 16 * 1024;
constexpr unsigned char kCompressedFlag = 1;

}  // namespace

std::array<char, kGrpcFrameHeadBytes> grpc_frame_head(uint32_t size) {
  return {0, static_cast<char>(size >> 24), static_cast<char>(size >> 16),
          static_cast<char>(size >> 8), static_cast<char>(size)};
}

GrpcDeframer::Head GrpcDeframer::read_head(const char* bytes) const {
  const auto* head = reinterpret_cast<const unsigned char*>(bytes);
  const size_t size = static_cast<size_t>(head[1]) << 24 | static_cast<size_t>(head[2]) << 16 |
                      static_cast<size_t>(head[3]) << 8 | head[4];
  if (head[0] == kCompressedFlag) return {size, Failure::kCompressed};
  if (head[0] != 0) return {size, Failure::kBadFlags};
  if (size > message_bytes_max_) return {size, Failure::kTooLarge};
  return {size, Failure::kNone};
}

GrpcDeframer::Failure GrpcDeframer::feed(std::string_view piece, Sink& sink) {
  bool wanted = true;
  if (partial_.size() > 0) {
    const Failure failure = finish_partial(piece, sink, wanted);
    if (failure != Failure::kNone) return failure;
  }
  while (wanted && piece.size() >= kGrpcFrameHeadBytes) {
    const Head head = read_head(piece.data());
    if (head.failure != Failure::kNone) return head.failure;
    if (piece.size() - kGrpcFrameHeadBytes < head.size) break;
    wanted = sink.on_message(piece.substr(kGrpcFrameHeadBytes, head.size));
    piece.remove_prefix(kGrpcFrameHeadBytes + head.size);
  }
  if (wanted) partial_.append(piece);
  return Failure::kNone;
}

bool GrpcDeframer::fill(std::string_view& piece, size_t wanted) {
  const size_t missing = wanted - std::min(wanted, partial_.size());
  const size_t taken = std::min(missing, piece.size());
  partial_.append(piece.substr(0, taken));
  piece.remove_prefix(taken);
  return taken == missing;
}

GrpcDeframer::Failure GrpcDeframer::finish_partial(std::string_view& piece, Sink& sink,
                                                   bool& wanted) {
  if (!fill(piece, kGrpcFrameHeadBytes)) return Failure::kNone;
  const Head head = read_head(partial_.view().data());
  if (head.failure != Failure::kNone) return head.failure;
  if (!fill(piece, kGrpcFrameHeadBytes + head.size)) return Failure::kNone;
  wanted = sink.on_message(partial_.view().substr(kGrpcFrameHeadBytes));
  partial_.clear();
  if (partial_.capacity() > kKeptMessageBytes) partial_.release();
  return Failure::kNone;
}

}  // namespace kvasir
