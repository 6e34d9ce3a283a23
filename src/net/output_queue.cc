#include "net/output_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

namespace kvasir {
namespace {

// A queue that grew beyond this gives its memory back once it is empty.
constexpr size_t kKeptBytes = 16 * 1024;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

bool OutputQueue::send(int socket, std::string_view first, std::string_view second) {
  if (size() == 0) {
    iovec pieces[2] = {{const_cast<char*>(first.data()), first.size()},
                       {const_cast<char*>(second.data()), second.size()}};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = second.empty() ? 1 : 2;
    const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && !would_block(errno)) return false;
    size_t taken = sent < 0 ? 0 : static_cast<size_t>(sent);
    const size_t from_first = std::min(taken, first.size());
    first.remove_prefix(from_first);
    second.remove_prefix(taken - from_first);
  }
  queued_.append(first);
  queued_.append(second);
  return true;
}

bool OutputQueue::flush(int socket) {
  while (size() > 0) {
    const std::string_view rest = queued_.view().substr(sent_);
    const ssize_t sent = ::send(socket, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      compact();
      return would_block(errno);
    }
    sent_ += static_cast<size_t>(sent);
  }
  sent_ = 0;
  queued_.clear();
  if (queued_.capacity() > kKeptBytes) queued_.release();
  return true;
}

void OutputQueue::compact() {
  if (sent_ < queued_.size() / 2) return;
  queued_.remove_prefix(sent_);
  sent_ = 0;
}

}  // namespace kvasir
