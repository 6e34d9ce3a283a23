#include "engine/waiting_queue.h"

#include <gtest/gtest.h>

#include <vector>

namespace kvasir {
namespace {

Sequence sequence_of(uint64_t id, int priority) {
  Sequence sequence;
  sequence.id = SequenceId{id};
  sequence.priority = priority;
  return sequence;
}

std::vector<uint64_t> drained(WaitingQueue& queue) {
  std::vector<uint64_t> ids;
  for (; !queue.empty(); queue.pop()) ids.push_back(static_cast<uint64_t>(queue.front().id));
  return ids;
}

TEST(WaitingQueue, FirstComeFirstServedButPreemptedBeforeAll) {
  Sequence a = sequence_of(1, 5), b = sequence_of(2, 0), c = sequence_of(3, 9);
  WaitingQueue queue(WaitingOrder::kFcfs);
  queue.push(a);
  queue.push(b);
  queue.push_preempted(c);
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_EQ(drained(queue), (std::vector<uint64_t>{3, 1, 2}));
}

TEST(WaitingQueue, LowerPriorityValueFirstThenFirstCome) {
  Sequence a = sequence_of(1, 5), b = sequence_of(2, 0), c = sequence_of(3, 5);
  Sequence d = sequence_of(4, -1);
  WaitingQueue queue(WaitingOrder::kPriority);
  queue.push(b);
  queue.push(c);
  queue.push(d);
  queue.push_preempted(a);
  EXPECT_EQ(drained(queue), (std::vector<uint64_t>{4, 2, 1, 3}));
}

TEST(WaitingQueue, RemovesFromAnyPlace) {
  Sequence a = sequence_of(1, 0), b = sequence_of(2, 0), c = sequence_of(3, 0);
  WaitingQueue queue(WaitingOrder::kFcfs);
  for (Sequence* sequence : {&a, &b, &c}) queue.push(*sequence);
  queue.remove(b);
  EXPECT_EQ(drained(queue), (std::vector<uint64_t>{1, 3}));
  EXPECT_DEATH(queue.remove(b), "is in the queue");
}

}  // namespace
}  // namespace kvasir
