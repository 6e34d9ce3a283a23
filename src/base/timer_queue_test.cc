#include "base/timer_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/random.h"

namespace kvasir {
namespace {

TimePoint at(int64_t ms) {
  return TimePoint(std::chrono::milliseconds(ms));
}

// Takes all that is due and returns what it wrote.
std::string take(TimerQueue& queue, std::string& written, TimePoint now) {
  written.clear();
  while (const auto work = queue.take_due(now)) work();
  return written;
}

TEST(TimerQueue, EarliestFirstAndInOrderWithinOneTime) {
  TimerQueue queue;
  std::string written;
  for (const auto& [ms, letter] : {std::pair(30, 'd'), {10, 'a'}, {20, 'b'}, {20, 'c'}}) {
    queue.add(at(ms), [&written, letter = letter] { written += letter; });
  }
  EXPECT_EQ(queue.next(), at(10));
  EXPECT_EQ(take(queue, written, at(9)), "");
  EXPECT_EQ(take(queue, written, at(20)), "abc");
  EXPECT_EQ(queue.next(), at(30));
  EXPECT_EQ(take(queue, written, at(30)), "d");
  EXPECT_EQ(queue.next(), std::nullopt);
}

TEST(TimerQueue, WhatIsCancelledNeitherRunsNorWakes) {
  TimerQueue queue;
  std::string written;
  const TimerId first = queue.add(at(1), [&] { written += 'a'; });
  queue.add(at(2), [&] { written += 'b'; });
  queue.cancel(first);
  queue.cancel(first);
  queue.cancel(kNoTimer);
  EXPECT_EQ(queue.next(), at(2));
  EXPECT_EQ(take(queue, written, at(5)), "b");
}

// A request that is answered cancels its timer long before it would be due.
TEST(TimerQueue, CancelledTimersDoNotPileUp) {
  TimerQueue queue;
  queue.add(at(0), [] {});
  for (int i = 0; i < 100'000; ++i) queue.cancel(queue.add(at(1'000'000), [] {}));
  EXPECT_EQ(queue.waiting(), 1u);
  EXPECT_LT(queue.entries(), 200u);
}

// Against a map that is searched each time.
TEST(TimerQueue, DoesAsANaiveOneDoes) {
  Random random(7);
  TimerQueue queue;
  std::map<std::pair<TimePoint, uint64_t>, TimerId> naive;
  std::string written, expected;
  TimePoint now{};
  for (uint64_t step = 0; step < 20'000; ++step) {
    const uint64_t dice = random.next() % 10;
    if (dice < 5) {
      const TimePoint due = now + std::chrono::milliseconds(random.next() % 50);
      const std::string name = std::to_string(step) + " ";
      naive[{due, step}] = queue.add(due, [&written, name] { written += name; });
    } else if (dice < 8 && !naive.empty()) {
      const auto victim =
          std::next(naive.begin(), static_cast<ptrdiff_t>(random.next() % naive.size()));
      queue.cancel(victim->second);
      naive.erase(victim);
    } else {
      now += std::chrono::milliseconds(random.next() % 20);
      expected.clear();
      while (!naive.empty() && naive.begin()->first.first <= now) {
        expected += std::to_string(naive.begin()->first.second) + " ";
        naive.erase(naive.begin());
      }
      EXPECT_EQ(take(queue, written, now), expected);
    }
    ASSERT_EQ(queue.waiting(), naive.size());
    ASSERT_EQ(queue.next(),
              naive.empty() ? std::nullopt : std::optional(naive.begin()->first.first));
  }
}

TEST(TimeAfter, SaturatesAtTheEndOfAllTime) {
  EXPECT_EQ(time_after(at(5), std::chrono::milliseconds(2)), at(7));
  EXPECT_EQ(time_after(at(5), Duration::max()), TimePoint::max());
  EXPECT_EQ(time_after(at(5), Duration::min()), at(5));
}

}  // namespace
}  // namespace kvasir
