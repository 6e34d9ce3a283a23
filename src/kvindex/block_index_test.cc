// One suite for every BlockIndex, and random events against the naive one.
#include "kvindex/block_index.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "kvindex/block_index_storm_fixture.h"
#include "kvindex/chain_index.h"
#include "kvindex/naive_block_index_fixture.h"

namespace kvasir {
namespace {

template <class Index>
std::unique_ptr<BlockIndex> make_block_index(const BlockIndexOptions& options) {
  return std::make_unique<Index>(options);
}

struct BlockIndexKind {
  const char* name;
  std::unique_ptr<BlockIndex> (*make)(const BlockIndexOptions& options);
};

class BlockIndexTest : public testing::TestWithParam<BlockIndexKind> {
 protected:
  BlockIndexTest() : index_(GetParam().make({})) {}

  static uint64_t name_of(uint64_t content) { return 1000 + content; }
  static std::vector<uint64_t> names_of(const std::vector<uint64_t>& contents) {
    std::vector<uint64_t> names;
    for (const uint64_t content : contents) names.push_back(name_of(content));
    return names;
  }
  static std::vector<BlockHash> chain_of(const std::vector<uint64_t>& contents) {
    std::vector<BlockHash> chain;
    BlockHash parent = kRoot;
    for (const uint64_t content : contents) chain.push_back(parent = chain_block(parent, content));
    return chain;
  }
  StoreOutcome store(HolderId holder, const std::vector<uint64_t>& contents,
                     std::optional<uint64_t> parent = {}, CacheTier tier = CacheTier::kGpu) {
    const std::vector<uint64_t> names = names_of(contents);
    return index_->store({holder, tier, parent, kRoot, names, contents});
  }
  size_t remove(HolderId holder, const std::vector<uint64_t>& contents,
                CacheTier tier = CacheTier::kGpu) {
    return index_->remove(holder, tier, names_of(contents));
  }
  std::vector<HolderMatch> match(const std::vector<uint64_t>& contents) const {
    const std::vector<BlockHash> hashes = chain_of(contents);
    KnownChain chain(hashes);
    std::vector<HolderMatch> matches{{HolderId{99}, 99, {}}};
    index_->match(chain, matches);
    std::sort(matches.begin(), matches.end(),
              [](const auto& a, const auto& b) { return a.holder < b.holder; });
    return matches;
  }
  // Of the one holder that has any of it.
  uint32_t matched(const std::vector<uint64_t>& contents) const {
    const std::vector<HolderMatch> matches = match(contents);
    return matches.empty() ? 0 : matches.front().blocks;
  }

  static constexpr BlockHash kRoot = 7;
  std::unique_ptr<BlockIndex> index_;
};

TEST_P(BlockIndexTest, LeadingBlocksAreMatched) {
  const HolderId a = *index_->add_holder();
  const HolderId b = *index_->add_holder();
  EXPECT_EQ(store(a, {1, 2, 3}), StoreOutcome::kStored);
  EXPECT_EQ(store(b, {1, 4}), StoreOutcome::kStored);
  EXPECT_EQ(match({1, 2, 3, 5}), (std::vector<HolderMatch>{{a, 3, {3, 0, 0}}, {b, 1, {1, 0, 0}}}));
  EXPECT_EQ(match({1, 4, 3}), (std::vector<HolderMatch>{{a, 1, {1, 0, 0}}, {b, 2, {2, 0, 0}}}));
  EXPECT_EQ(match({2}), std::vector<HolderMatch>{});
  EXPECT_EQ(index_->distinct_blocks(), 4u);
  EXPECT_EQ(index_->memberships(), 5u);
  EXPECT_EQ(index_->blocks_of(a), 3u);
}

TEST_P(BlockIndexTest, ABlockInTheMiddleIsAHoleUntilItComesBack) {
  const HolderId a = *index_->add_holder();
  store(a, {1, 2, 3, 4});
  EXPECT_EQ(remove(a, {2}), 1u);
  EXPECT_EQ(remove(a, {2}), 0u);
  EXPECT_EQ(matched({1, 2, 3, 4}), 1u);
  EXPECT_EQ(index_->memberships(), 3u);
  EXPECT_EQ(store(a, {2}, name_of(1)), StoreOutcome::kStored);
  EXPECT_EQ(matched({1, 2, 3, 4}), 4u);
}

TEST_P(BlockIndexTest, AParentNobodyHasIsUnknown) {
  const HolderId a = *index_->add_holder();
  const HolderId b = *index_->add_holder();
  EXPECT_EQ(store(a, {2}, name_of(1)), StoreOutcome::kUnknownParent);
  EXPECT_EQ(index_->memberships(), 0u);
  store(b, {1});
  EXPECT_EQ(store(a, {2}, name_of(1)), StoreOutcome::kStored) << "another has said where it is";
  EXPECT_EQ(match({1, 2}), (std::vector<HolderMatch>{{b, 1, {1, 0, 0}}}));
  index_->clear(b);
  EXPECT_EQ(store(a, {3}, name_of(1)), StoreOutcome::kUnknownParent);
}

TEST_P(BlockIndexTest, EachCopyIsRemoved) {
  const HolderId a = *index_->add_holder();
  store(a, {1, 2});
  store(a, {1});
  EXPECT_EQ(remove(a, {1}), 1u);
  EXPECT_EQ(matched({1, 2}), 2u);
  EXPECT_EQ(remove(a, {1}), 1u);
  EXPECT_EQ(matched({1, 2}), 0u);
  EXPECT_EQ(remove(a, {1}), 0u);
}

TEST_P(BlockIndexTest, CopiesAreNotCountedWhenToldSo) {
  BlockIndexOptions options;
  options.count_copies = false;
  index_ = GetParam().make(options);
  const HolderId a = *index_->add_holder();
  store(a, {1, 2});
  store(a, {1});
  EXPECT_EQ(remove(a, {1}), 1u);
  EXPECT_EQ(matched({1, 2}), 0u);
}

TEST_P(BlockIndexTest, TheFastestTierOfABlockCounts) {
  const HolderId a = *index_->add_holder();
  store(a, {1, 2, 3});
  EXPECT_EQ(index_->attach(a, CacheTier::kCpu, names_of({1, 2, 9})), 2u);
  EXPECT_EQ(index_->memberships(), 5u);
  EXPECT_EQ(index_->blocks_of(a), 3u);
  EXPECT_EQ(remove(a, {2}), 1u);
  EXPECT_EQ(match({1, 2, 3}), (std::vector<HolderMatch>{{a, 3, {2, 1, 0}}}));
  EXPECT_EQ(remove(a, {2}, CacheTier::kCpu), 1u);
  EXPECT_EQ(match({1, 2, 3}), (std::vector<HolderMatch>{{a, 1, {1, 0, 0}}}));
}

TEST_P(BlockIndexTest, HoldersMayCallTheSameBlocksDifferently) {
  const HolderId a = *index_->add_holder();
  const HolderId b = *index_->add_holder();
  const std::vector<uint64_t> contents{1, 2};
  const std::vector<uint64_t> names{name_of(2), name_of(1)};  // what `a` calls the other one
  store(a, contents);
  index_->store({b, CacheTier::kGpu, {}, kRoot, names, contents});
  EXPECT_EQ(index_->distinct_blocks(), 2u);
  EXPECT_EQ(remove(b, {1}), 1u);
  EXPECT_EQ(match({1, 2}), (std::vector<HolderMatch>{{a, 2, {2, 0, 0}}, {b, 1, {1, 0, 0}}}));
  EXPECT_EQ(store(b, {3}, name_of(2)), StoreOutcome::kStored) << "after the first: its own word";
  EXPECT_EQ(match({1, 3}), (std::vector<HolderMatch>{{a, 1, {1, 0, 0}}, {b, 2, {2, 0, 0}}}));
}

TEST_P(BlockIndexTest, AClearedHolderHasNothingAndAnIdIsUsedAgain) {
  const HolderId a = *index_->add_holder();
  const HolderId b = *index_->add_holder();
  store(a, {1, 2});
  store(b, {1});
  index_->clear(a);
  EXPECT_EQ(match({1, 2}), (std::vector<HolderMatch>{{b, 1, {1, 0, 0}}}));
  EXPECT_EQ(index_->memberships(), 1u);
  EXPECT_EQ(index_->blocks_of(a), 0u);
  index_->remove_holder(b);
  EXPECT_EQ(match({1, 2}), std::vector<HolderMatch>{});
  EXPECT_EQ(index_->add_holder(), b);
  EXPECT_EQ(index_->blocks_of(b), 0u);
  while (index_->tidy()) {
  }
  EXPECT_EQ(index_->distinct_blocks(), 0u);
}

TEST_P(BlockIndexTest, HoldersAreLimited) {
  BlockIndexOptions options;
  options.holders_max = 2;
  index_ = GetParam().make(options);
  EXPECT_TRUE(index_->add_holder());
  EXPECT_TRUE(index_->add_holder());
  EXPECT_FALSE(index_->add_holder());
}

TEST_P(BlockIndexTest, WhatIsOldIsForgotten) {
  const HolderId a = *index_->add_holder();
  const HolderId b = *index_->add_holder();
  index_->set_time(TimePoint(std::chrono::seconds(10)));
  store(a, {1, 2});
  store(b, {1, 2});
  index_->set_time(TimePoint(std::chrono::seconds(20)));
  store(b, {5, 6, 7});
  EXPECT_EQ(index_->expire(TimePoint(std::chrono::seconds(5))), 0u);
  EXPECT_EQ(index_->expire(TimePoint(std::chrono::seconds(15))), 4u);
  EXPECT_EQ(match({1, 2}), std::vector<HolderMatch>{});
  EXPECT_EQ(matched({5, 6, 7}), 3u);
}

TEST_P(BlockIndexTest, ItShrinksToSoManyBlocks) {
  const HolderId a = *index_->add_holder();
  for (uint64_t i = 0; i < 10; ++i) {
    index_->set_time(TimePoint(std::chrono::seconds(10 * i)));
    store(a, {100 * i + 1, 100 * i + 2, 100 * i + 3});
  }
  index_->shrink(100);
  EXPECT_EQ(index_->distinct_blocks(), 30u);
  index_->shrink(6);
  EXPECT_EQ(index_->distinct_blocks(), 6u);
  EXPECT_EQ(index_->memberships(), 6u);
  EXPECT_EQ(matched({901, 902, 903}), 3u);
  EXPECT_EQ(matched({801, 802, 803}), 3u);
}

TEST_P(BlockIndexTest, WhatItKnowsIsRestoredElsewhere) {
  const HolderId a = *index_->add_holder();
  const HolderId b = *index_->add_holder();
  store(a, {1, 2, 3});
  store(a, {1});
  store(b, {1, 2});
  remove(b, {1});
  index_->attach(b, CacheTier::kStorage, names_of({3}));
  struct Copier final : BlockIndex::Visitor {
    explicit Copier(BlockIndex& to) : copy(to) {}
    void on_block(const BlockIndex::KnownBlock& block) override {
      EXPECT_EQ(copy.restore(block), StoreOutcome::kStored);
    }
    BlockIndex& copy;
  };
  const std::unique_ptr<BlockIndex> original = std::move(index_);
  index_ = GetParam().make({});
  index_->add_holder();
  index_->add_holder();
  Copier copier(*index_);
  original->visit(copier);
  EXPECT_EQ(index_->memberships(), original->memberships());
  EXPECT_EQ(match({1, 2, 3}), (std::vector<HolderMatch>{{a, 3, {3, 0, 0}}}));
  EXPECT_EQ(store(b, {1}), StoreOutcome::kStored);
  EXPECT_EQ(match({1, 2, 3}), (std::vector<HolderMatch>{{a, 3, {3, 0, 0}}, {b, 3, {2, 0, 1}}}));
  EXPECT_EQ(remove(a, {1}), 1u);
  EXPECT_EQ(index_->blocks_of(a), 3u) << "there were two copies";
}

INSTANTIATE_TEST_SUITE_P(All, BlockIndexTest,
                         testing::Values(BlockIndexKind{"naive", make_block_index<NaiveBlockIndex>},
                                         BlockIndexKind{"chain", make_block_index<ChainIndex>}),
                         [](const auto& kind) { return kind.param.name; });

// --- Random events ---

struct NamedStorm {
  const char* name;
  StormOptions options;
  uint64_t share = 1;  // does so much less: it takes that much longer
};

// Run longer by `make test-index-storm`.
uint64_t storm_operations() {
  const char* const wanted = std::getenv("KVASIR_STORM_OPERATIONS");
  return wanted == nullptr ? 20'000 : std::strtoull(wanted, nullptr, 10);
}

class BlockIndexStormTest : public testing::TestWithParam<NamedStorm> {};

TEST_P(BlockIndexStormTest, TheChainIndexAnswersAsTheNaiveOne) {
  BlockIndexStorm storm(GetParam().options, make_block_index<ChainIndex>);
  EXPECT_TRUE(storm.run(storm_operations() / GetParam().share));
}

TEST(BlockIndexBudgetTest, WithoutMemoryItKnowsLessAndNeverMore) {
  for (const size_t memory : {size_t{220} << 10, size_t{250} << 10, size_t{300} << 10}) {
    StormOptions options;
    options.seed = memory;
    options.dialects = 1;
    options.wrong_names = 0;
    options.holders = 20;
    options.sequences = 200;
    options.length_max = 100;
    options.memory_bytes_max = memory;
    BlockIndexStorm storm(options, make_block_index<ChainIndex>);
    EXPECT_TRUE(storm.run(storm_operations() / 4));
    EXPECT_GT(storm.full(), 0u) << memory;
    EXPECT_GT(storm.index().memberships(), 0u) << memory;
  }
}

NamedStorm storm_of(const char* name, const std::function<void(StormOptions&)>& change) {
  NamedStorm storm{name, {}, 1};
  change(storm.options);
  if (storm.options.length_max > 100) storm.share = 5;
  return storm;
}

INSTANTIATE_TEST_SUITE_P(All, BlockIndexStormTest,
                         testing::Values(storm_of("mixed", [](StormOptions&) {}),
                                         storm_of("agreeing",
                                                  [](StormOptions& options) {
                                                    options.seed = 2;
                                                    options.dialects = 1;
                                                    options.wrong_names = 0;
                                                  }),
                                         storm_of("wild",
                                                  [](StormOptions& options) {
                                                    options.seed = 3;
                                                    options.dialects = 5;
                                                    options.wrong_names = 8;
                                                    options.tiers = 3;
                                                    options.length_max = 20;
                                                  }),
                                         storm_of("long",
                                                  [](StormOptions& options) {
                                                    options.seed = 4;
                                                    options.holders = 20;
                                                    options.length_max = 200;
                                                    options.sequences = 6;
                                                    options.wrong_names = 5000;
                                                  }),
                                         storm_of("uncounted",
                                                  [](StormOptions& options) {
                                                    options.seed = 5;
                                                    options.count_copies = false;
                                                  })),
                         [](const auto& storm) { return storm.param.name; });

}  // namespace
}  // namespace kvasir
