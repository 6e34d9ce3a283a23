// One thread's loop over sockets, timers and work posted by other threads (epoll).
//
// Everything is called on the loop's own thread, except post() and stop(), which any thread may call.
// Lives on one thread; neither copied nor moved.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/result.h"
#include "base/timer_queue.h"

namespace kvasir {

// Told when its descriptor is ready. `events` are EPOLL* bits.
class IoHandler {
 public:
  virtual ~IoHandler() = default;
  virtual void on_io(uint32_t events) = 0;
};

class EventLoop final : public Executor {
 public:
  static Result<std::unique_ptr<EventLoop>> create();
  ~EventLoop() override;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs until stop(). Work already posted when stop() is called is still done.
  void run();
  void stop();

  // Runs `work` on the loop's thread, soon.
  void post(std::function<void()> work) override;

  // Runs `work` at the end of the current iteration: the place to destroy an object that is still on the
  // call stack.
  void defer(std::function<void()> work) { deferred_.push_back(std::move(work)); }

  // Level-triggered. The handler must stay alive until unwatch(); after unwatch() it is not called again.
  // Neither closes the descriptor.
  void watch(int descriptor, uint32_t events, IoHandler& handler);
  void modify(int descriptor, uint32_t events, IoHandler& handler);
  void unwatch(int descriptor, IoHandler& handler);
  // Whether the loop is in an iteration at whose begin nothing was ready for `handler` that it has not been told:
  // what a system call would find beyond that came within this iteration.
  bool told_all(const IoHandler& handler) const;

  TimerId after(Duration delay, std::function<void()> work) override;
  void cancel(TimerId timer) override { timers_.cancel(timer); }
  // The time at which the current iteration began.
  TimePoint now() const override { return now_; }
  const Clock& clock() const override { return clock_; }

  // A buffer for reads, shared by everything on this loop: its content is lost when a handler returns.
  static constexpr size_t kScratchBytes = 64 * 1024;
  char* scratch() { return scratch_.get(); }

 private:
  EventLoop(int epoll_descriptor, int wake_descriptor);
  int wait();
  void dispatch(int count);
  void fire_timers();
  void run_posted();
  void run_deferred();
  Duration until_next_timer() const;

  const int epoll_;
  const int wake_;
  SteadyClock clock_;
  TimePoint now_;
  bool stopped_ = false;
  bool batch_is_whole_ = false;  // this iteration began with all that was ready; false between iterations
  std::vector<epoll_event> ready_;
  size_t next_ready_ = 0;  // of the batch being dispatched
  size_t ready_count_ = 0;
  TimerQueue timers_;
  std::vector<std::function<void()>> deferred_;
  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
  std::unique_ptr<char[]> scratch_;
};

}  // namespace kvasir
