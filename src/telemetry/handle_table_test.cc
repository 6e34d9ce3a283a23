#include "telemetry/handle_table.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "telemetry/label_cap.h"

namespace kvasir {
namespace {

TEST(HandleTable, MakesAValueOnceAndTellsKeysApart) {
  HandleTable<int> table(8);
  int made = 0;
  const std::vector<HandleKey> keys = {
      {{"a", "b", ""}, 0}, {{"ab", "", ""}, 0}, {{"a", "b", ""}, 1}, {{"", "a", "b"}, 0}};
  for (int round = 0; round < 2; ++round) {
    for (size_t i = 0; i < keys.size(); ++i) {
      EXPECT_EQ(*table.find_or_make(keys[i], [&] { return made++; }), static_cast<int>(i));
    }
  }
  EXPECT_EQ(made, 4);
  EXPECT_EQ(table.find({{"c", "", ""}, 0}), nullptr);
}

TEST(HandleTable, RefusesWhatIsBeyondItsCapacityButKeepsTheRest) {
  HandleTable<int> table(2);
  EXPECT_NE(table.find_or_make({{}, 1}, [] { return 1; }), nullptr);
  EXPECT_NE(table.find_or_make({{}, 2}, [] { return 2; }), nullptr);
  EXPECT_EQ(table.find_or_make({{}, 3}, [] { return 3; }), nullptr);
  EXPECT_EQ(*table.find({{}, 2}), 2);
}

TEST(HandleTable, GivesEveryThreadTheSameValue) {
  HandleTable<int> table(1000);
  std::atomic<int> made{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int64_t i = 0; i < 1000; ++i) {
        const int* value = table.find_or_make({{"key"}, i}, [&] {
          ++made;
          return static_cast<int>(i);
        });
        ASSERT_EQ(*value, i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made, 1000);
}

TEST(LabelCap, CallsNewValuesOtherOnceItIsFull) {
  LabelCap cap(2);
  EXPECT_EQ(cap("a"), "a");
  EXPECT_EQ(cap("b"), "b");
  EXPECT_EQ(cap("c"), "other");
  EXPECT_EQ(cap("a"), "a");
}

}  // namespace
}  // namespace kvasir
