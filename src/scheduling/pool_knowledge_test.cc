#include "scheduling/pool_knowledge.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

constexpr BlockSize kSmall{PromptUnit::kBytes, 64};
constexpr BlockSize kLarge{PromptUnit::kBytes, 2048};
constexpr size_t kEndpoints = 2;
const std::vector<BlockHash> kChain = {1, 2, 3};

// What a policy uses.
struct Used {
  explicit Used(std::vector<BlockSize> blocks, size_t endpoints = kEndpoints) {
    for (const BlockSize block : blocks) {
      owned.push_back(std::make_unique<SharedPrefixIndex>(block, endpoints));
      indexes.push_back(owned.back().get());
    }
  }
  void insert(size_t index, EndpointId endpoint) {
    (*indexes[index])->insert(endpoint, {indexes[index]->block(), kChain});
  }
  uint32_t match(size_t index, EndpointId endpoint) {
    std::vector<uint32_t> matched(indexes[index]->endpoints());
    (*indexes[index])->match({indexes[index]->block(), kChain}, std::span(&endpoint, 1), matched);
    return matched[index_of(endpoint)];
  }

  std::vector<std::unique_ptr<SharedPrefixIndex>> owned;
  std::vector<SharedPrefixIndex*> indexes;
};

TEST(PoolKnowledge, WhatIsKnownOutlivesThePolicyThatLearntIt) {
  PoolKnowledge knowledge;
  {
    Used first({kSmall});
    knowledge.share(first.indexes);
    first.insert(0, EndpointId(1));
  }
  Used second({kLarge, kSmall});
  knowledge.share(second.indexes);
  EXPECT_EQ(second.match(1, EndpointId(1)), 3u);
  EXPECT_EQ(second.match(0, EndpointId(1)), 0u) << "another block size is another index";
}

TEST(PoolKnowledge, TheUnitOfABlockCounts) {
  PoolKnowledge knowledge;
  Used bytes({kSmall});
  knowledge.share(bytes.indexes);
  bytes.insert(0, EndpointId(0));
  Used tokens({{PromptUnit::kTokens, kSmall.units}});
  knowledge.share(tokens.indexes);
  EXPECT_EQ(tokens.match(0, EndpointId(0)), 0u);
}

TEST(PoolKnowledge, AnIndexIsKeptThroughOneConfigurationThatDoesNotUseIt) {
  PoolKnowledge knowledge;
  Used first({kSmall});
  knowledge.share(first.indexes);
  first.insert(0, EndpointId(0));
  first.insert(0, EndpointId(1));
  knowledge.share({});
  knowledge.endpoint_replaced(EndpointId(1));
  Used back({kSmall});
  knowledge.share(back.indexes);
  EXPECT_EQ(back.match(0, EndpointId(0)), 3u);
  EXPECT_EQ(back.match(0, EndpointId(1)), 0u) << "its endpoint was replaced meanwhile";
  knowledge.share({});
  EXPECT_EQ(knowledge.indexes(), 1u);
  knowledge.share({});
  EXPECT_EQ(knowledge.indexes(), 0u) << "nothing feeds it and nothing reads it";
}

TEST(PoolKnowledge, WhatAnEngineForgotIsForgottenInAllIndexes) {
  PoolKnowledge knowledge;
  Used unused({{PromptUnit::kTokens, kSmall.units}});
  knowledge.share(unused.indexes);
  Used used({kSmall});
  knowledge.share(used.indexes);
  for (Used* of : {&unused, &used}) {
    of->insert(0, EndpointId(0));
    of->insert(0, EndpointId(1));
  }
  knowledge.forget(EndpointId(1));
  for (Used* of : {&unused, &used}) {
    EXPECT_EQ(of->match(0, EndpointId(0)), 3u);
    EXPECT_EQ(of->match(0, EndpointId(1)), 0u);
  }
}

TEST(PoolKnowledge, AFleetOfAnotherSizeIsNotMixedUp) {
  PoolKnowledge knowledge;
  Used small({kSmall}, 1);
  knowledge.share(small.indexes);
  small.insert(0, EndpointId(0));
  Used large({kSmall}, 3);
  knowledge.share(large.indexes);
  EXPECT_EQ(large.match(0, EndpointId(2)), 0u);
  knowledge.endpoint_replaced(EndpointId(2));
}

}  // namespace
}  // namespace kvasir
