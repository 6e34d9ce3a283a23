#include "engine/waiting_queue.h"

#include <algorithm>
#include <tuple>

#include "base/assert.h"

namespace kvasir {

void WaitingQueue::push(Sequence& sequence) {
  if (order_ == WaitingOrder::kPriority) return insert_by_priority(sequence);
  queue_.push_back(&sequence);
}

void WaitingQueue::push_preempted(Sequence& sequence) {
  if (order_ == WaitingOrder::kPriority) return insert_by_priority(sequence);
  queue_.push_front(&sequence);
}

void WaitingQueue::remove(const Sequence& sequence) {
  const auto found = std::find(queue_.begin(), queue_.end(), &sequence);
  KVASIR_ASSERT(found != queue_.end(), "a waiting sequence is in the queue");
  queue_.erase(found);
}

void WaitingQueue::insert_by_priority(Sequence& sequence) {
  const auto before = [](const Sequence* left, const Sequence* right) {
    return goes_before(*left, *right);
  };
  queue_.insert(std::upper_bound(queue_.begin(), queue_.end(), &sequence, before), &sequence);
}

bool goes_before(const Sequence& left, const Sequence& right) {
  return std::tie(left.priority, left.id) < std::tie(right.priority, right.id);
}

}  // namespace kvasir
