#include "kvmanager/peer_comparison.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

// Rounds of {mine, theirs} of one pod, and whether it counts as different after each.
struct Round {
  KvDigest mine, theirs;
  bool differs;
};

TEST(PeerComparison, ADifferenceCountsWhenItIsNoneOfTime) {
  const std::vector<std::pair<const char*, std::vector<Round>>> cases = {
      {"equal", {{{1, 1, 5}, {1, 1, 5}, false}, {{2, 1, 6}, {2, 1, 6}, false}}},
      {"one is ahead each time", {{{1, 1, 5}, {2, 2, 6}, false}, {{3, 3, 7}, {4, 4, 8}, false}}},
      {"the same last event, twice", {{{1, 1, 5}, {2, 2, 5}, false}, {{3, 1, 6}, {4, 2, 6}, true}}},
      {"the same last event, once", {{{1, 1, 5}, {2, 2, 5}, false}, {{3, 1, 6}, {3, 1, 6}, false}}},
      {"a lost last event, and silence",
       {{{1, 1, 5}, {2, 2, 6}, false}, {{1, 1, 5}, {2, 2, 6}, true}}},
      {"found out, then busy, then equal",
       {{{1, 1, 5}, {2, 2, 5}, false},
        {{1, 1, 5}, {2, 2, 5}, true},
        {{3, 1, 6}, {4, 2, 7}, true},
        {{5, 1, 8}, {5, 1, 8}, false}}},
      {"unknown to one of them", {{{1, 1, 5}, {}, false}, {{1, 1, 5}, {}, true}}},
  };
  for (const auto& [name, rounds] : cases) {
    PeerComparison comparison;
    bool before = false;
    for (const Round& round : rounds) {
      const auto pods_of = [](const KvDigest& digest) {
        return digest == KvDigest{} ? KvDigests{} : KvDigests{{"pod", digest}};
      };
      const bool changed = comparison.compare(pods_of(round.mine), pods_of(round.theirs));
      EXPECT_EQ(comparison.differing().contains("pod"), round.differs) << name;
      EXPECT_EQ(changed, round.differs != before) << name;
      before = round.differs;
    }
  }
}

}  // namespace
}  // namespace kvasir
