// One suite for every PrefixIndex, and random histories against the naive one.
#include "kvindex/prefix_index.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/random.h"
#include "kvindex/approximate_index.h"
#include "kvindex/naive_index_fixture.h"

namespace kvasir {
namespace {

using Chain = std::vector<BlockHash>;

constexpr BlockSize kBlock{PromptUnit::kBytes, 2048};

// Chained as real prompts are: every hash covers the words before it.
Chain chain_of(std::initializer_list<uint64_t> words) {
  Chain chain;
  BlockHash parent = 0;
  for (const uint64_t word : words) chain.push_back(parent = mix64(parent ^ mix64(word)));
  return chain;
}

Chain long_chain(uint64_t prompt, size_t blocks) {
  Chain chain;
  for (uint64_t i = 0; i < blocks; ++i) chain.push_back(mix64(prompt * 1'000'000 + i));
  return chain;
}

struct Kind {
  const char* name;
  std::unique_ptr<PrefixIndex> (*make)(const PrefixIndexOptions& options);
};

template <class Index>
std::unique_ptr<PrefixIndex> make_index(const PrefixIndexOptions& options) {
  return std::make_unique<Index>(options);
}

class PrefixIndexTest : public testing::TestWithParam<Kind> {
 protected:
  void make(size_t endpoints) {
    options_.endpoints = endpoints;
    index_ = GetParam().make(options_);
  }
  uint32_t match(uint32_t endpoint, const Chain& chain) const {
    std::vector<uint32_t> matched(options_.endpoints, 4711);
    const EndpointId ids[] = {EndpointId(endpoint)};
    index_->match({kBlock, chain}, ids, matched);
    for (uint32_t i = 0; i < matched.size(); ++i) {
      EXPECT_TRUE(i == endpoint || matched[i] == 4711) << "it was not asked for " << i;
    }
    return matched[endpoint];
  }
  void insert(uint32_t endpoint, const Chain& chain) {
    index_->insert(EndpointId(endpoint), {kBlock, chain});
  }
  void set_capacity(uint32_t endpoint, size_t blocks) {
    index_->set_capacity(EndpointId(endpoint), blocks);
  }

  PrefixIndexOptions options_;
  std::unique_ptr<PrefixIndex> index_;
};

INSTANTIATE_TEST_SUITE_P(Every, PrefixIndexTest,
                         testing::Values(Kind{"Approximate", make_index<ApproximateIndex>},
                                         Kind{"Naive", make_index<NaiveIndex>}),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST_P(PrefixIndexTest, KnowsNothingAtFirst) {
  make(2);
  EXPECT_EQ(match(0, chain_of({1, 2, 3})), 0u);
  EXPECT_EQ(match(1, {}), 0u);
  EXPECT_EQ(index_->size(), 0u);
}

TEST_P(PrefixIndexTest, MatchesTheSharedHeadOnTheEndpointThatGotIt) {
  make(2);
  insert(1, chain_of({1, 2, 3, 4, 5}));
  EXPECT_EQ(match(1, chain_of({1, 2, 3, 4, 5})), 5u);
  EXPECT_EQ(match(1, chain_of({1, 2, 3, 4, 5, 6, 7})), 5u);
  EXPECT_EQ(match(1, chain_of({1, 2, 3, 9})), 3u);
  EXPECT_EQ(match(1, chain_of({2, 3})), 0u);
  EXPECT_EQ(match(0, chain_of({1, 2, 3})), 0u);
  EXPECT_EQ(index_->size(), 5u);
}

TEST_P(PrefixIndexTest, OneCallAsksForManyEndpoints) {
  make(4);
  const Chain chain = chain_of({1, 2, 3});
  insert(1, chain);
  index_->insert(EndpointId(3), PromptView{kBlock, chain}.head(2));
  std::vector<uint32_t> matched = {7, 7, 7, 7};
  const EndpointId ids[] = {EndpointId(0), EndpointId(1), EndpointId(3)};
  index_->match({kBlock, chain}, ids, matched);
  EXPECT_EQ(matched, (std::vector<uint32_t>{0, 3, 7, 2}));
}

TEST_P(PrefixIndexTest, TailsAreForgottenBeforeHeads) {
  make(1);
  set_capacity(0, 4);
  insert(0, chain_of({1, 2, 3}));
  insert(0, chain_of({7, 8}));
  EXPECT_EQ(match(0, chain_of({1, 2, 3})), 2u);
  EXPECT_EQ(match(0, chain_of({7, 8})), 2u);
}

TEST_P(PrefixIndexTest, OfAChainLongerThanTheCapacityTheHeadIsKept) {
  make(1);
  set_capacity(0, 2);
  insert(0, chain_of({1, 2, 3, 4}));
  EXPECT_EQ(match(0, chain_of({1, 2, 3, 4})), 2u);
}

TEST_P(PrefixIndexTest, ShrinkingForgetsAndZeroHoldsNothing) {
  make(1);
  insert(0, chain_of({1, 2, 3}));
  set_capacity(0, 1);
  EXPECT_EQ(match(0, chain_of({1, 2, 3})), 1u);
  set_capacity(0, 0);
  insert(0, chain_of({1, 2, 3}));
  EXPECT_EQ(match(0, chain_of({1, 2, 3})), 0u);
  EXPECT_EQ(index_->size(), 0u);
}

TEST_P(PrefixIndexTest, WhatIsForgottenIsGoneThereOnlyAndTheCapacityStays) {
  make(2);
  const Chain chain = {1, 2, 3};
  for (uint32_t i = 0; i < 2; ++i) {
    set_capacity(i, 2);
    insert(i, chain);
  }
  index_->forget(EndpointId(0));
  EXPECT_EQ(match(0, chain), 0u);
  EXPECT_EQ(match(1, chain), 2u);
  insert(0, chain);
  EXPECT_EQ(match(0, chain), 2u);
}

TEST_P(PrefixIndexTest, AnUnreportedCapacityIsTheDefault) {
  make(1);
  const Chain chain = long_chain(1, PrefixIndexOptions::kDefaultCapacityBlocks + 1);
  insert(0, chain);
  EXPECT_EQ(match(0, chain), PrefixIndexOptions::kDefaultCapacityBlocks);
}

TEST_P(PrefixIndexTest, WhenAllCapacitiesAreTooMuchEachHolderHasAnEqualShare) {
  options_.memory_bytes_max = 12 * PrefixIndexOptions::kBytesPerBlock;
  options_.capacity_blocks = 10;
  make(3);
  const Chain chain = long_chain(1, 10);
  insert(0, chain);
  EXPECT_EQ(match(0, chain), 10u) << "those that hold nothing do not count";
  insert(1, chain);
  EXPECT_EQ(match(0, chain), 6u);
  EXPECT_EQ(match(1, chain), 6u);
  insert(2, chain);
  EXPECT_EQ(match(0, chain), 4u);
  EXPECT_EQ(index_->size(), 12u);
  index_->forget(EndpointId(0));
  index_->forget(EndpointId(1));
  insert(2, chain);
  EXPECT_EQ(match(2, chain), 10u);
  set_capacity(2, 4);
  insert(0, {1, 2, 3, 4});
  EXPECT_EQ(index_->size(), 8u);
}

TEST_P(PrefixIndexTest, ItsMemoryStaysWithinTheLimit) {
  options_.memory_bytes_max = 20'000 * PrefixIndexOptions::kBytesPerBlock;
  options_.capacity_blocks = 15'000;
  make(8);
  const size_t empty = index_->memory_bytes();
  const bool naive = GetParam().make == make_index<NaiveIndex>;
  for (uint32_t i = 0; i < 8; ++i) {
    insert(i, long_chain(i, naive ? 1500 : 15'000));
    EXPECT_LE(index_->memory_bytes(), empty + options_.memory_bytes_max) << i;
  }
  EXPECT_GT(index_->size(), naive ? 10'000u : 19'000u);
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
  const std::vector<EndpointId> ids = {EndpointId(0), EndpointId(1), EndpointId(2)};
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    PrefixIndexOptions options;
    options.endpoints = kEndpoints;
    // Now and then less than the capacities together.
    if (seed % 2 == 0) options.memory_bytes_max = 150 * PrefixIndexOptions::kBytesPerBlock;
    ApproximateIndex index(options);
    NaiveIndex oracle(options);
    for (int step = 0; step < 400; ++step) {
      const EndpointId endpoint{static_cast<uint32_t>(random.below(kEndpoints))};
      const Chain chain = random_chain(random);
      const PromptView prompt{kBlock, chain};
      std::vector<uint32_t> matched(kEndpoints);
      std::vector<uint32_t> expected(kEndpoints);
      index.match(prompt, ids, matched);
      oracle.match(prompt, ids, expected);
      ASSERT_EQ(matched, expected) << "seed " << seed << " step " << step;
      const uint64_t event = random.below(40);
      if (event < 2) {
        const size_t capacity = random.below(120);
        index.set_capacity(endpoint, capacity);
        oracle.set_capacity(endpoint, capacity);
      } else if (event == 2) {
        index.forget(endpoint);
        oracle.forget(endpoint);
      }
      index.insert(endpoint, prompt);
      oracle.insert(endpoint, prompt);
      ASSERT_EQ(index.size(), oracle.size()) << "seed " << seed << " step " << step;
    }
  }
}

}  // namespace
}  // namespace kvasir
