#include "kvindex/approximate_index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>

#include "base/random.h"

namespace kvasir {
namespace {

using Chain = std::vector<BlockHash>;

// Chained as real prompts are: every hash covers the words before it.
Chain chain_of(std::initializer_list<uint64_t> words) {
  Chain chain;
  BlockHash parent = 0;
  for (const uint64_t word : words) chain.push_back(parent = mix64(parent ^ mix64(word)));
  return chain;
}

// The same contract, written the slow and obvious way.
class NaiveIndex {
 public:
  explicit NaiveIndex(size_t endpoints) : endpoints_(endpoints) {}

  uint32_t match(size_t endpoint, const Chain& chain) const {
    const auto& recent = endpoints_[endpoint].recent;
    const auto absent = [&recent](BlockHash hash) {
      return std::find(recent.begin(), recent.end(), hash) == recent.end();
    };
    return std::find_if(chain.begin(), chain.end(), absent) - chain.begin();
  }
  void insert(size_t endpoint, const Chain& chain) {
    auto& recent = endpoints_[endpoint].recent;
    for (size_t i = chain.size(); i-- > 0;) {
      recent.remove(chain[i]);
      recent.push_front(chain[i]);
      trim(endpoint);
    }
  }
  void set_capacity(size_t endpoint, size_t blocks) {
    endpoints_[endpoint].capacity = blocks;
    trim(endpoint);
  }

 private:
  struct Blocks {
    std::list<BlockHash> recent;  // most recent first
    size_t capacity = ApproximateIndex::kDefaultCapacityBlocks;
  };

  void trim(size_t endpoint) {
    Blocks& blocks = endpoints_[endpoint];
    while (blocks.recent.size() > blocks.capacity) blocks.recent.pop_back();
  }

  std::vector<Blocks> endpoints_;
};

TEST(ApproximateIndex, KnowsNothingAtFirst) {
  const ApproximateIndex index(2);
  EXPECT_EQ(index.match(EndpointId(0), chain_of({1, 2, 3})), 0u);
  EXPECT_EQ(index.match(EndpointId(1), {}), 0u);
}

TEST(ApproximateIndex, MatchesTheSharedHeadOnTheEndpointThatGotIt) {
  ApproximateIndex index(2);
  index.insert(EndpointId(1), chain_of({1, 2, 3, 4, 5}));
  EXPECT_EQ(index.match(EndpointId(1), chain_of({1, 2, 3, 4, 5})), 5u);
  EXPECT_EQ(index.match(EndpointId(1), chain_of({1, 2, 3, 4, 5, 6, 7})), 5u);
  EXPECT_EQ(index.match(EndpointId(1), chain_of({1, 2, 3, 9})), 3u);
  EXPECT_EQ(index.match(EndpointId(1), chain_of({2, 3})), 0u);
  EXPECT_EQ(index.match(EndpointId(0), chain_of({1, 2, 3})), 0u);
}

TEST(ApproximateIndex, TailsAreForgottenBeforeHeads) {
  ApproximateIndex index(1);
  index.set_capacity(EndpointId(0), 4);
  index.insert(EndpointId(0), chain_of({1, 2, 3}));
  index.insert(EndpointId(0), chain_of({7, 8}));
  EXPECT_EQ(index.match(EndpointId(0), chain_of({1, 2, 3})), 2u);
  EXPECT_EQ(index.match(EndpointId(0), chain_of({7, 8})), 2u);
}

TEST(ApproximateIndex, OfAChainLongerThanTheCapacityTheHeadIsKept) {
  ApproximateIndex index(1);
  index.set_capacity(EndpointId(0), 2);
  index.insert(EndpointId(0), chain_of({1, 2, 3, 4}));
  EXPECT_EQ(index.match(EndpointId(0), chain_of({1, 2, 3, 4})), 2u);
}

TEST(ApproximateIndex, ShrinkingForgetsAndZeroHoldsNothing) {
  ApproximateIndex index(1);
  index.insert(EndpointId(0), chain_of({1, 2, 3}));
  index.set_capacity(EndpointId(0), 1);
  EXPECT_EQ(index.match(EndpointId(0), chain_of({1, 2, 3})), 1u);
  index.set_capacity(EndpointId(0), 0);
  index.insert(EndpointId(0), chain_of({1, 2, 3}));
  EXPECT_EQ(index.match(EndpointId(0), chain_of({1, 2, 3})), 0u);
}

TEST(ApproximateIndex, WhatIsForgottenIsGoneThereOnlyAndTheCapacityStays) {
  ApproximateIndex index(2);
  const std::vector<BlockHash> chain = {1, 2, 3};
  for (uint32_t i = 0; i < 2; ++i) {
    index.set_capacity(EndpointId(i), 2);
    index.insert(EndpointId(i), chain);
  }
  index.forget(EndpointId(0));
  EXPECT_EQ(index.match(EndpointId(0), chain), 0u);
  EXPECT_EQ(index.match(EndpointId(1), chain), 2u);
  index.insert(EndpointId(0), chain);
  EXPECT_EQ(index.match(EndpointId(0), chain), 2u);
}

TEST(ApproximateIndex, AnUnreportedCapacityIsTheDefault) {
  ApproximateIndex index(1);
  Chain chain;
  for (uint64_t i = 0; i <= ApproximateIndex::kDefaultCapacityBlocks; ++i) {
    chain.push_back(mix64(i));
  }
  index.insert(EndpointId(0), chain);
  EXPECT_EQ(index.match(EndpointId(0), chain), ApproximateIndex::kDefaultCapacityBlocks);
}

// Chains grow from few words, so that they share heads, and return, so that they hit.
Chain random_chain(Random& random) {
  Chain chain;
  BlockHash parent = 0;
  for (uint64_t length = random.below(40); length > 0; --length) {
    chain.push_back(parent = mix64(parent ^ mix64(random.below(3) + 1)));
    if (random.below(4) > 0) continue;
    chain.push_back(parent = mix64(parent ^ mix64(random.below(50))));
  }
  return chain;
}

TEST(ApproximateIndex, AgreesWithTheNaiveIndexOnRandomHistories) {
  constexpr size_t kEndpoints = 3;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    ApproximateIndex index(kEndpoints);
    NaiveIndex oracle(kEndpoints);
    for (int step = 0; step < 400; ++step) {
      const uint32_t endpoint = static_cast<uint32_t>(random.below(kEndpoints));
      const Chain chain = random_chain(random);
      for (uint32_t i = 0; i < kEndpoints; ++i) {
        ASSERT_EQ(index.match(EndpointId(i), chain), oracle.match(i, chain))
            << "seed " << seed << " step " << step;
      }
      if (random.below(20) == 0) {
        const size_t capacity = random.below(120);
        index.set_capacity(EndpointId(endpoint), capacity);
        oracle.set_capacity(endpoint, capacity);
      }
      index.insert(EndpointId(endpoint), chain);
      oracle.insert(endpoint, chain);
    }
  }
}

}  // namespace
}  // namespace kvasir
