#include "scheduling/pick_generations.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace kvasir {
namespace {

TEST(PickGenerations, RequestsKeepTheirsThroughChanges) {
  PickGenerations first;
  first.picked(1);
  first.picked(2);
  PickGenerations second;
  second.follow(first);
  second.picked(3);
  PickGenerations third;
  third.follow(second);
  third.picked(4);
  EXPECT_EQ(third.current(), 3u);
  EXPECT_EQ(third.of(1), 1u);
  EXPECT_EQ(third.of(2), 1u);
  EXPECT_EQ(third.of(3), 2u);
  EXPECT_EQ(third.of(4), 3u);
  for (const RequestId request : {1, 2, 3}) third.ended(request);
  third.picked(5);
  EXPECT_EQ(third.of(4), 3u);
  EXPECT_EQ(third.of(5), 3u);
}

// Against a map of everything.
TEST(PickGenerations, AgreesWithAMapOfEverything) {
  std::mt19937 random(7);
  PickGenerations generations;
  std::map<RequestId, uint64_t> all;
  RequestId next = 1;
  for (int step = 0; step < 20'000; ++step) {
    const unsigned dice = random() % 100;
    if (dice < 2) {
      PickGenerations fresh;
      fresh.follow(generations);
      generations = fresh;
    } else if (dice < 50 && all.size() < 40) {
      generations.picked(next);
      all[next++] = generations.current();
    } else if (!all.empty()) {
      const auto which = std::next(all.begin(), static_cast<long>(random() % all.size()));
      ASSERT_EQ(generations.of(which->first), which->second) << step;
      generations.ended(which->first);
      all.erase(which);
    }
    if (dice == 99) {
      for (const auto& [request, generation] : all) {
        ASSERT_EQ(generations.of(request), generation) << step;
        generations.ended(request);
      }
      all.clear();
    }
  }
}

}  // namespace
}  // namespace kvasir
