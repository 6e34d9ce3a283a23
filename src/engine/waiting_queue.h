// The sequences that wait for admission, in the order in which they will get it. Not thread-safe.
#pragma once

#include <cstddef>
#include <deque>

#include "engine/sequence.h"

namespace kvasir {

class WaitingQueue {
 public:
  explicit WaitingQueue(WaitingOrder order) : order_(order) {}

  bool empty() const { return queue_.empty(); }
  size_t size() const { return queue_.size(); }

  // The sequences stay the caller's, and must outlive their time in the queue.
  void push(Sequence& sequence);
  // A preempted sequence goes before all others, or to the place that its priority gives it.
  void push_preempted(Sequence& sequence);

  // Precondition of both: not empty.
  Sequence& front() { return *queue_.front(); }
  void pop() { queue_.pop_front(); }

  // The last one of which `is` is true, of all or of those behind the front; nullptr: there is
  // none.
  template <class Is>
  Sequence* last(bool behind_front, Is&& is) {
    for (size_t i = queue_.size(); i-- > (behind_front ? 1 : 0);) {
      if (is(*queue_[i])) return queue_[i];
    }
    return nullptr;
  }

  // Precondition: it is in the queue.
  void remove(const Sequence& sequence);

 private:
  void insert_by_priority(Sequence& sequence);

  const WaitingOrder order_;
  std::deque<Sequence*> queue_;
};

// Whether `left` is served before `right` under WaitingOrder::kPriority.
bool goes_before(const Sequence& left, const Sequence& right);

}  // namespace kvasir
