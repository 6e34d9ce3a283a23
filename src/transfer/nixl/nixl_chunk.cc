#include "transfer/nixl/nixl_chunk.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "transfer/kv_fingerprint.h"

namespace kvasir {

void NixlChunk::clear() {
  pieces_.clear();
  rest_.clear();
  at_ = left_ = 0;
  begun_ = false;
}

void NixlChunk::add(std::span<const std::byte> bytes) {
  left_ += bytes.size();
  if (!pieces_.empty()) {
    std::span<const std::byte>& last = pieces_.back();
    if (last.data() + last.size() == bytes.data()) {
      last = {last.data(), last.size() + bytes.size()};
      return;
    }
  }
  pieces_.push_back(bytes);
}

uint64_t NixlChunk::checksum(size_t skipped) const {
  return kv_checksum(std::span(pieces_).subspan(skipped));
}

void NixlChunk::begin() {
  if (begun_) return;
  begun_ = true;
  rest_.clear();
  for (const std::span<const std::byte> piece : pieces_) {
    rest_.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
  }
}

void NixlChunk::divert(std::span<std::byte> scratch) {
  begun_ = true;
  rest_.clear();
  at_ = 0;
  for (size_t left = left_; left > 0;) {
    const size_t bytes = std::min(left, scratch.size());
    rest_.push_back({scratch.data(), bytes});
    left -= bytes;
  }
}

void NixlChunk::advance(size_t bytes) {
  left_ -= bytes;
  while (bytes > 0) {
    iovec& first = rest_[at_];
    const size_t taken = std::min(bytes, first.iov_len);
    first.iov_base = static_cast<std::byte*>(first.iov_base) + taken;
    first.iov_len -= taken;
    bytes -= taken;
    if (first.iov_len == 0) ++at_;
  }
}

NixlChunk::State NixlChunk::send(int socket) {
  begin();
  while (left_ > 0) {
    msghdr message{};
    message.msg_iov = &rest_[at_];
    message.msg_iovlen = std::min<size_t>(rest_.size() - at_, IOV_MAX);
    const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN ? State::kWaits : State::kBroken;
    advance(static_cast<size_t>(sent));
  }
  return State::kWhole;
}

NixlChunk::State NixlChunk::receive(int socket) {
  begin();
  while (left_ > 0) {
    msghdr message{};
    message.msg_iov = &rest_[at_];
    message.msg_iovlen = std::min<size_t>(rest_.size() - at_, IOV_MAX);
    const ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN ? State::kWaits : State::kBroken;
    if (got == 0) {
      errno = ECONNRESET;
      return State::kBroken;
    }
    advance(static_cast<size_t>(got));
  }
  return State::kWhole;
}

}  // namespace kvasir
