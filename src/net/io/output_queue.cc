#include "net/io/output_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

namespace kvasir {
namespace {

// A queue that grew beyond this gives its memory back once it is empty.
constexpr size_t kKeptQueueBytes = 16 * 1024;

bool send_would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

bool OutputQueue::send(int socket, std::string_view first, std::string_view second) {
  if (!full_) {
    std::string_view pieces[] = {queued_.view().substr(sent_), first, second};
    iovec vectors[std::size(pieces)];
    msghdr message{};
    message.msg_iov = vectors;
    for (const std::string_view piece : pieces) {
      if (!piece.empty()) vectors[message.msg_iovlen++] = {const_cast<char*>(piece.data()), piece.size()};
    }
    if (message.msg_iovlen == 0) return true;
    const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && !send_would_block(errno)) return false;
    size_t taken = sent < 0 ? 0 : static_cast<size_t>(sent);
    for (std::string_view& piece : pieces) {
      const size_t of_piece = std::min(taken, piece.size());
      piece.remove_prefix(of_piece);
      taken -= of_piece;
    }
    sent_ = queued_.size() - pieces[0].size();
    first = pieces[1];
    second = pieces[2];
  }
  queued_.append(first);
  queued_.append(second);
  full_ = size() > 0;
  if (!full_) clear();
  return true;
}

bool OutputQueue::flush(int socket) {
  while (size() > 0) {
    const std::string_view rest = queued_.view().substr(sent_);
    const ssize_t sent = ::send(socket, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      full_ = true;
      compact();
      return send_would_block(errno);
    }
    sent_ += static_cast<size_t>(sent);
  }
  clear();
  return true;
}

void OutputQueue::clear() {
  full_ = false;
  sent_ = 0;
  queued_.clear();
  if (queued_.capacity() > kKeptQueueBytes) queued_.release();
}

void OutputQueue::compact() {
  if (sent_ < queued_.size() / 2) return;
  queued_.remove_prefix(sent_);
  sent_ = 0;
}

}  // namespace kvasir
