#include "transfer/store_thread.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "net/io/detached_thread.h"

namespace kvasir {

struct StoreThread::Queue {
  std::mutex mutex;
  std::condition_variable changed;
  Executor* loop;  // null: nobody uses results any more
  std::deque<Work> waiting;
};

StoreThread::StoreThread(Executor& loop, size_t waiting_max)
    : queue_(std::make_shared<Queue>()), waiting_max_(waiting_max) {
  queue_->loop = &loop;
}

StoreThread::~StoreThread() {
  std::deque<Work> dropped;  // destroyed without the lock
  {
    const std::lock_guard lock(queue_->mutex);
    queue_->loop = nullptr;
    dropped.swap(queue_->waiting);
  }
  queue_->changed.notify_all();
}

bool StoreThread::submit(Work work) {
  {
    const std::lock_guard lock(queue_->mutex);
    if (queue_->waiting.size() >= waiting_max_) return false;
    queue_->waiting.push_back(std::move(work));
  }
  if (!started_) started_ = start_detached_thread([queue = queue_] { run(queue); });
  if (!started_) {
    const std::lock_guard lock(queue_->mutex);
    queue_->waiting.pop_back();
  }
  queue_->changed.notify_one();
  return started_;
}

void StoreThread::run(const std::shared_ptr<Queue>& queue) {
  for (;;) {
    Work work;
    {
      std::unique_lock lock(queue->mutex);
      queue->changed.wait(lock, [&] { return queue->loop == nullptr || !queue->waiting.empty(); });
      if (queue->loop == nullptr) return;
      work = std::move(queue->waiting.front());
      queue->waiting.pop_front();
    }
    Use use = work([&queue](Use part) { tell(queue, std::move(part)); });
    work = nullptr;
    if (!tell(queue, std::move(use))) return;
  }
}

// False: nobody listens any more.
bool StoreThread::tell(const std::shared_ptr<Queue>& queue, Use use) {
  const std::lock_guard lock(queue->mutex);
  if (queue->loop == nullptr) return false;
  queue->loop->post([weak = std::weak_ptr<Queue>(queue), use = std::move(use)] {
    const std::shared_ptr<Queue> alive = weak.lock();
    if (alive == nullptr) return;
    {
      const std::lock_guard still(alive->mutex);
      if (alive->loop == nullptr) return;
    }
    use();
  });
  return true;
}

}  // namespace kvasir
