#include "hashing/token_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/random.h"

namespace kvasir {
namespace {

std::vector<uint32_t> counted(size_t count) {
  std::vector<uint32_t> tokens(count);
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

TEST(TokenBlocks, OnlyFullBlocksHaveAHash) {
  for (const size_t tokens : {0, 1, 15, 16, 17, 31, 32, 1000}) {
    EXPECT_EQ(hash_token_blocks(counted(tokens), 0, 16).size(), tokens / 16) << tokens;
  }
}

TEST(TokenBlocks, AreTheChainOfTheirHashes) {
  const std::vector<uint32_t> tokens = counted(48);
  BlockHash parent = token_root(7);
  for (size_t block = 0; block < 3; ++block) {
    parent = hash_token_block(parent, std::span(tokens).subspan(block * 16, 16));
    EXPECT_EQ(hash_token_blocks(tokens, 7, 16)[block], parent);
  }
}

TEST(TokenBlocks, AChainIsMadeAsFarAsSomebodyLooksAndStaysInPlace) {
  const std::vector<uint32_t> tokens = counted(16 * 1000 + 5);
  const std::vector<BlockHash> all = hash_token_blocks(tokens, 7, 16);
  TokenChain chain(tokens, token_root(7), 16);
  EXPECT_EQ(chain.blocks(), 1000u);
  const std::span<const BlockHash> first = chain.at_least(1);
  EXPECT_EQ(first.size(), TokenChain::kAhead);
  const std::span<const BlockHash> more = chain.at_least(500);
  EXPECT_GE(more.size(), 500u);
  EXPECT_LT(more.size(), 1000u);
  EXPECT_EQ(first.data(), more.data());
  EXPECT_TRUE(std::ranges::equal(chain.at_least(5000), all));
}

TEST(TokenBlocks, DependOnAdapterCacheSaltAndWhatElseIsInTheBlock) {
  std::set<BlockHash> roots;
  for (const char* adapter : {"", "a", "b"}) {
    for (const char* salt : {"", "a", "b"}) roots.insert(token_root(adapter, salt));
  }
  EXPECT_EQ(roots.size(), 9u);
  const std::vector<uint32_t> tokens = counted(16);
  EXPECT_NE(block_content(tokens), block_content(tokens, 1));
}

TEST(TokenBlocks, CoverEveryTokenBeforeThem) {
  const std::vector<uint32_t> tokens = counted(64);
  const auto blocks = hash_token_blocks(tokens, 0, 16);
  for (size_t changed = 0; changed < tokens.size(); ++changed) {
    auto other = tokens;
    other[changed] += 1;
    const auto other_blocks = hash_token_blocks(other, 0, 16);
    for (size_t block = 0; block < blocks.size(); ++block) {
      EXPECT_EQ(blocks[block] == other_blocks[block], block < changed / 16);
    }
  }
}

TEST(TokenBlocks, DependOnTheSaltAndOnTheirPlace) {
  const std::vector<uint32_t> tokens(64, 5);
  std::set<BlockHash> hashes;
  for (const uint64_t salt : {0, 1, 2}) {
    for (const BlockHash hash : hash_token_blocks(tokens, salt, 16)) hashes.insert(hash);
  }
  EXPECT_EQ(hashes.size(), 12u);
}

}  // namespace
}  // namespace kvasir
