// Takes connections from a listening socket, for whatever server wants them. Private to net/.
//
// Pauses for a moment when the server is full or the process has no descriptor left: the kernel's queue
// holds the clients meanwhile. Lives on the loop's thread.
#pragma once

#include <functional>

#include "net/io/event_loop.h"
#include "net/io/socket.h"

namespace kvasir {

class Acceptor final : public IoHandler {
 public:
  // `has_room` is asked before each accept, `take` is given each connection. `loop` must outlive this.
  Acceptor(EventLoop& loop, Descriptor listener, std::function<bool()> has_room,
           std::function<void(Descriptor)> take);
  ~Acceptor() override;
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  void on_io(uint32_t events) override;
  const Descriptor& listener() const { return listener_; }

 private:
  void pause();

  EventLoop& loop_;
  Descriptor listener_;
  const std::function<bool()> has_room_;
  const std::function<void(Descriptor)> take_;
  TimerId resume_ = kNoTimer;
  bool paused_ = false;
};

}  // namespace kvasir
