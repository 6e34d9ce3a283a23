#include "net/io/gather_buffer.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

namespace kvasir {
namespace {

constexpr size_t kPiecesPerWrite = 128;
constexpr size_t kKeptGatherBytes = 64 * 1024;

bool would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

}  // namespace

void GatherBuffer::append(std::string_view bytes) {
  if (bytes.empty()) return;
  size_ += bytes.size();
  if (pieces_.empty() || pieces_.back().borrowed != nullptr) {
    pieces_.push_back({nullptr, copied_.size(), 0});
  }
  pieces_.back().size += bytes.size();
  copied_.append(bytes);
}

void GatherBuffer::append_stable(std::string_view bytes) {
  if (bytes.size() < kBorrowedBytesMin) return append(bytes);
  size_ += bytes.size();
  pieces_.push_back({bytes.data(), 0, bytes.size()});
}

std::string_view GatherBuffer::bytes_of(const Piece& piece) const {
  if (piece.borrowed != nullptr) return {piece.borrowed, piece.size};
  return copied_.view().substr(piece.offset, piece.size);
}

bool GatherBuffer::write(int socket, OutputQueue& queue) {
  const bool alive = write_pieces(socket, queue);
  clear();
  return alive;
}

void GatherBuffer::clear() {
  pieces_.clear();
  copied_.clear();
  if (copied_.capacity() > kKeptGatherBytes) copied_.release();
  size_ = 0;
}

bool GatherBuffer::write_pieces(int socket, OutputQueue& queue) {
  size_t next = 0;
  while (next < pieces_.size() && queue.size() == 0) {
    iovec vectors[kPiecesPerWrite];
    const size_t first = next;
    const size_t count = std::min(kPiecesPerWrite, pieces_.size() - first);
    for (size_t i = 0; i < count; ++i) {
      const std::string_view bytes = bytes_of(pieces_[first + i]);
      vectors[i] = {const_cast<char*>(bytes.data()), bytes.size()};
    }
    msghdr message{};
    message.msg_iov = vectors;
    message.msg_iovlen = count;
    const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && !would_block(errno)) return false;
    size_t taken = sent < 0 ? 0 : static_cast<size_t>(sent);
    while (next < first + count && taken >= vectors[next - first].iov_len) {
      taken -= vectors[next - first].iov_len;
      ++next;
    }
    if (next == first + count) continue;
    queue.append(bytes_of(pieces_[next++]).substr(taken));
    break;
  }
  for (; next < pieces_.size(); ++next) queue.append(bytes_of(pieces_[next]));
  return true;
}

}  // namespace kvasir
