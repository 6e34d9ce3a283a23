// Work that takes long (reading a large list), done on a thread of its own so that no loop waits
// for it; what it found is used on the loop's thread. Names are looked up by a Resolver instead.
//
// Lives on the loop's thread.
#pragma once

#include <functional>
#include <memory>

namespace kvasir {

class EventLoop;

class BackgroundJob {
 public:
  using Use = std::function<void()>;  // called on the loop's thread
  using Work = std::function<Use()>;  // called on the other thread: owns what it needs

  // `loop` must outlive this.
  explicit BackgroundJob(EventLoop& loop);
  // Does not wait: work that is under way goes on, and what it found is dropped.
  ~BackgroundJob();
  BackgroundJob(const BackgroundJob&) = delete;
  BackgroundJob& operator=(const BackgroundJob&) = delete;

  // One at a time. False: one is under way, or the system gives no thread.
  bool start(Work work);
  bool busy() const { return busy_; }

 private:
  struct Link;

  const std::shared_ptr<Link> link_;
  bool busy_ = false;
};

}  // namespace kvasir
