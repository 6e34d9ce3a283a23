// A thread that does one piece of work after another which may wait long (disks, servers), so that
// no loop does; what a piece found is used on the loop's thread.
//
// Lives on the loop's thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "base/executor.h"

namespace kvasir {

class StoreThread {
 public:
  using Use = std::function<void()>;             // called on the loop's thread
  using Tell = std::function<void(Use)>;         // has it called so, while the work goes on
  using Work = std::function<Use(const Tell&)>;  // called on the other thread: owns what it needs

  // `loop` must outlive this.
  StoreThread(Executor& loop, size_t waiting_max);
  // Waits for nothing: the piece under way goes on, those behind it are dropped, and nothing is
  // used any more.
  ~StoreThread();
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  // In the order of the calls. False: too many wait, or the system gives no thread.
  bool submit(Work work);

 private:
  struct Queue;
  static void run(const std::shared_ptr<Queue>& queue);
  static bool tell(const std::shared_ptr<Queue>& queue, Use use);

  const std::shared_ptr<Queue> queue_;
  const size_t waiting_max_;
  bool started_ = false;
};

}  // namespace kvasir
