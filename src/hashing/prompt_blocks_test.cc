#include "hashing/prompt_blocks.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace kvasir {
namespace {

std::vector<BlockHash> hashes_of(std::string_view prompt, uint64_t salt, size_t block_bytes) {
  std::vector<BlockHash> blocks = {1, 2, 3};
  hash_prompt_blocks(prompt, salt, block_bytes, blocks);
  return blocks;
}

TEST(PromptBlocks, OnlyFullBlocksHaveAHash) {
  for (const size_t bytes : {0, 1, 2047, 2048, 2049, 4096, 100000}) {
    EXPECT_EQ(hashes_of(std::string(bytes, 'x'), 0, kPromptBytesPerBlock).size(),
              bytes / kPromptBytesPerBlock)
        << bytes;
  }
}

TEST(PromptBlocks, EqualPrefixesHaveEqualHashes) {
  const auto blocks = hashes_of("aaaabbbbcccc", 9, 4);
  EXPECT_EQ(hashes_of("aaaabbbbcccc", 9, 4), blocks);
  const auto longer = hashes_of("aaaabbbbccccdddd", 9, 4);
  EXPECT_TRUE(std::equal(blocks.begin(), blocks.end(), longer.begin()));
}

TEST(PromptBlocks, CoverEveryByteBeforeThem) {
  const std::string prompt(64, 'p');
  const auto blocks = hashes_of(prompt, 0, 16);
  for (size_t changed = 0; changed < prompt.size(); ++changed) {
    std::string other = prompt;
    other[changed] = 'q';
    const auto other_blocks = hashes_of(other, 0, 16);
    for (size_t block = 0; block < blocks.size(); ++block) {
      EXPECT_EQ(blocks[block] == other_blocks[block], block < changed / 16);
    }
  }
}

TEST(PromptBlocks, DependOnTheSaltAndOnTheirPlace) {
  const std::string prompt(8192, 'x');
  std::set<BlockHash> hashes;
  for (const uint64_t salt : {0, 1, 2}) {
    for (const BlockHash hash : hashes_of(prompt, salt, 2048)) hashes.insert(hash);
  }
  EXPECT_EQ(hashes.size(), 12u);
}

TEST(PromptBlockHasher, ItDoesNotMatterWhereThePromptIsCut) {
  std::string prompt;
  for (int i = 0; i < 40; ++i) prompt += static_cast<char>('a' + i * 7 % 26);
  for (const size_t block_bytes : {1, 7, 16, 40, 41}) {
    const auto whole = hashes_of(prompt, 5, block_bytes);
    for (size_t first = 0; first <= prompt.size(); ++first) {
      for (size_t second = first; second <= prompt.size(); ++second) {
        std::vector<BlockHash> blocks;
        PromptBlockHasher hasher(5, block_bytes, blocks);
        const std::string_view all = prompt;
        hasher.take(all.substr(0, first));
        hasher.take(all.substr(first, second - first));
        hasher.take(all.substr(second));
        ASSERT_EQ(blocks, whole) << block_bytes << " " << first << " " << second;
      }
    }
  }
}

TEST(PromptSalt, TellsModelAndCacheSaltApart) {
  const std::set<uint64_t> salts = {prompt_salt("", ""),   prompt_salt("a", ""),
                                    prompt_salt("", "a"),  prompt_salt("a", "a"),
                                    prompt_salt("ab", ""), prompt_salt("a", "b")};
  EXPECT_EQ(salts.size(), 6u);
  EXPECT_EQ(prompt_salt("model", "salt"), prompt_salt("model", "salt"));
}

}  // namespace
}  // namespace kvasir
