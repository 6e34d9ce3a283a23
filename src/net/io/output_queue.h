// Bytes on their way into a non-blocking socket: written at once when the socket takes them, kept otherwise.
#pragma once

#include <string_view>

#include "net/io/byte_buffer.h"

namespace kvasir {

class OutputQueue {
 public:
  // Sends what is queued, then `first` and `second`, in one call; unless the socket took less than it was given
  // before: then they are queued for flush(). False when the connection is broken.
  bool send(int socket, std::string_view first, std::string_view second = {});
  // Queues bytes behind what is queued; they go out with the next send() or flush().
  void append(std::string_view bytes) { queued_.append(bytes); }
  // Sends what is queued, as far as the socket takes it. False when the connection is broken.
  bool flush(int socket);
  size_t size() const { return queued_.size() - sent_; }

 private:
  void compact();
  void clear();

  ByteBuffer queued_;
  size_t sent_ = 0;  // of queued_
  bool full_ = false;  // the socket, when last written to: it takes no more until it is writable
};

}  // namespace kvasir
