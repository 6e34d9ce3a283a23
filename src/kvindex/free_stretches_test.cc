#include "kvindex/free_stretches.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>
#include <vector>

#include "base/random.h"

namespace kvasir {
namespace {

TEST(FreeStretches, TakesTheFirstThatIsLargeEnough) {
  FreeStretches stretches;
  EXPECT_EQ(stretches.take(4), 0u);
  EXPECT_EQ(stretches.take(4), 4u);
  EXPECT_EQ(stretches.take(4), 8u);
  EXPECT_EQ(stretches.take(1), 12u);
  stretches.give(0, 4);
  stretches.give(8, 4);
  EXPECT_EQ(stretches.take(3), 0u);
  EXPECT_EQ(stretches.take(3), 8u);
  EXPECT_EQ(stretches.take(2), 13u);
}

TEST(FreeStretches, WhatWasGivenBackIsOneStretchAgainWhateverTheOrder) {
  FreeStretches stretches;
  for (int i = 0; i < 4; ++i) stretches.take(4);
  for (const size_t first : {0, 8, 4}) stretches.give(first, 4);
  EXPECT_EQ(stretches.take(12), 0u);
  stretches.give(12, 4);
  stretches.give(0, 12);
  EXPECT_EQ(stretches.end(), 0u);
}

TEST(FreeStretches, NothingIsGivenOutTwice) {
  Random random(7);
  FreeStretches stretches;
  std::vector<std::pair<size_t, size_t>> taken;
  std::set<size_t> used;
  for (int i = 0; i < 20'000; ++i) {
    if (taken.empty() || random.below(2) == 0) {
      const size_t count = 1 + random.below(30);
      const size_t first = stretches.take(count);
      ASSERT_LE(first + count, stretches.end());
      for (size_t k = 0; k < count; ++k) ASSERT_TRUE(used.insert(first + k).second);
      taken.emplace_back(first, count);
    } else {
      std::swap(taken[random.below(taken.size())], taken.back());
      const auto [first, count] = taken.back();
      taken.pop_back();
      stretches.give(first, count);
      for (size_t k = 0; k < count; ++k) used.erase(first + k);
    }
  }
  for (const auto& [first, count] : taken) stretches.give(first, count);
  EXPECT_EQ(stretches.end(), 0u);
}

}  // namespace
}  // namespace kvasir
