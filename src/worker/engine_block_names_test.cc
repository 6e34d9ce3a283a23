#include "worker/engine_block_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace kvasir {
namespace {

using testing::ElementsAre;

// The tokens of a vLLM's recorded test vector (seed 42, block size 16), and a second block.
std::vector<uint32_t> two_blocks() {
  std::vector<uint32_t> tokens = {2082, 1113, 2142, 374,   264, 4948, 19128, 323,
                                  7203, 429,  374,  66351, 938, 315,  11198, 323};
  for (uint32_t i = 0; i < 16; ++i) tokens.push_back(i);
  return tokens;
}

EngineHashOptions cbor(const std::string& seed = "42") {
  EngineHashOptions options;
  options.scheme = EngineHashScheme::kVllmSha256Cbor;
  options.seed = seed;
  return options;
}

KvBlocksStored event_of(const std::vector<uint64_t>& hashes, const std::vector<uint32_t>& tokens,
                        std::optional<uint64_t> parent = std::nullopt) {
  KvBlocksStored event;
  event.block_hashes = hashes;
  event.token_ids = tokens;
  event.block_size = 16;
  event.parent_block_hash = parent;
  return event;
}

TEST(EngineBlockNames, AreVllmsOwn) {
  EngineBlockNames names(cbor(), {});
  const std::vector<uint64_t> hashes = {1};
  std::vector<uint32_t> first = two_blocks();
  first.resize(16);
  EXPECT_THAT(names.stored(event_of(hashes, first)).block_hashes,
              ElementsAre(17705339885301241772u));
}

TEST(EngineBlockNames, GoOnFromTheBlockBefore) {
  const std::vector<uint32_t> tokens = two_blocks();
  EngineBlockNames at_once(cbor(), {});
  const std::vector<uint64_t> both = {1, 2};
  const auto together = at_once.stored(event_of(both, tokens)).block_hashes;
  const uint64_t second_name = together[1];

  EngineBlockNames one_by_one(cbor(), {});
  const std::vector<uint64_t> first = {1}, second = {2};
  one_by_one.stored(event_of(first, {tokens.begin(), tokens.begin() + 16}));
  const std::vector<uint32_t> rest(tokens.begin() + 16, tokens.end());
  const KvBlocksStored named = one_by_one.stored(event_of(second, rest, 1));
  EXPECT_THAT(named.block_hashes, ElementsAre(second_name));
  EXPECT_EQ(named.parent_block_hash, 17705339885301241772u);
}

TEST(EngineBlockNames, AreRememberedAsLongAsSomeTierHoldsTheBlock) {
  EngineBlockNames names(cbor(), {});
  const std::vector<uint64_t> hashes = {1};
  const std::vector<uint32_t> tokens(16, 5);
  const uint64_t name = names.stored(event_of(hashes, tokens)).block_hashes[0];
  KvBlocksStored moved = event_of(hashes, {});
  moved.medium = KvMedium::kCpu;
  EXPECT_THAT(names.stored(moved).block_hashes, ElementsAre(name));
  KvBlocksRemoved removed;
  removed.block_hashes = hashes;
  EXPECT_THAT(names.removed(removed).block_hashes, ElementsAre(name));
  EXPECT_EQ(names.size(), 1u);
  EXPECT_THAT(names.removed(removed).block_hashes, ElementsAre(name));
  EXPECT_EQ(names.size(), 0u);
  names.stored(event_of(hashes, tokens));
  names.cleared();
  EXPECT_EQ(names.size(), 0u);
}

TEST(EngineBlockNames, DependOnSeedSaltAndAdapter) {
  const std::vector<uint64_t> hashes = {1};
  const std::vector<uint32_t> tokens(16, 5);
  const KvBlocksStored plain = event_of(hashes, tokens);
  KvBlocksStored salted = plain, adapted = plain;
  salted.cache_salt = "mine";
  adapted.lora_name = "poet";
  std::vector<uint64_t> all;
  for (const KvBlocksStored& event : {plain, salted, adapted}) {
    EngineBlockNames names(cbor(), {{"poet", "/poet"}});
    all.push_back(names.stored(event).block_hashes[0]);
  }
  EngineBlockNames other_seed(cbor("0"), {});
  all.push_back(other_seed.stored(plain).block_hashes[0]);
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::unique(all.begin(), all.end()), all.end());
}

}  // namespace
}  // namespace kvasir
