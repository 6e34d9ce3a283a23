// Turns SIGINT, SIGTERM and SIGHUP into calls on an event loop. Make it before any other thread is
// started: it blocks the signals, and threads inherit that. SIGHUP stays ignored when it was
// (nohup).
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>

#include "base/result.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"

namespace kvasir {

class SignalWatcher final : public IoHandler {
 public:
  // `loop` must outlive the watcher.
  static Result<std::unique_ptr<SignalWatcher>> create(EventLoop& loop, std::initializer_list<int> signals,
                                                       std::function<void(int signal)> arrived);
  ~SignalWatcher() override;
  void on_io(uint32_t events) override;

 private:
  SignalWatcher(EventLoop& loop, Descriptor descriptor, std::function<void(int)> arrived);

  EventLoop& loop_;
  Descriptor descriptor_;
  std::function<void(int)> arrived_;
};

}  // namespace kvasir
