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

// What `sizes` make of the prompt, cut at `cut`.
std::vector<std::vector<BlockHash>> views_of(HashedPrompt& hashed, std::string_view prompt,
                                             size_t cut, std::span<const BlockSize> sizes) {
  HashedPrompt::Hasher hasher(hashed, sizes, 5);
  hasher.take(prompt.substr(0, cut));
  hasher.take(prompt.substr(cut));
  hasher.finish();
  std::vector<std::vector<BlockHash>> views;
  for (const PromptView& view : hashed.views()) {
    views.emplace_back(view.hashes.begin(), view.hashes.end());
  }
  return views;
}

TEST(HashedPrompt, EveryViewHasTheHashesThatItHasAlone) {
  std::string prompt;
  for (int i = 0; i < 100; ++i) prompt += static_cast<char>('a' + i * 7 % 26);
  const BlockSize sizes[] = {
      {PromptUnit::kBytes, 16}, {PromptUnit::kBytes, 7}, {PromptUnit::kBytes, 101}};
  HashedPrompt hashed;
  for (const size_t cut : {0, 1, 16, 50, 99, 100}) {
    const auto views = views_of(hashed, prompt, cut, sizes);
    ASSERT_EQ(views.size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(hashed.views()[i].block, sizes[i]);
      EXPECT_EQ(views[i], hashes_of(prompt, 5, sizes[i].units)) << cut << " " << i;
    }
  }
}

TEST(HashedPrompt, ItIsUsedAgainAndNothingOfThePromptBeforeIsLeft) {
  const BlockSize two[] = {{PromptUnit::kBytes, 2}, {PromptUnit::kBytes, 4}};
  HashedPrompt hashed;
  views_of(hashed, "aaaabbbb", 0, two);
  const auto views = views_of(hashed, "cccc", 0, std::span(two).first(1));
  ASSERT_EQ(views.size(), 1u);
  EXPECT_EQ(views[0], hashes_of("cccc", 5, 2));
  EXPECT_TRUE(views_of(hashed, "cccc", 0, {}).empty());
  views_of(hashed, "cccc", 0, two);
  hashed.clear();
  EXPECT_TRUE(hashed.views().empty());
}

TEST(HashedPrompt, TokensHaveNoViewOfBytesAndThereIsALimit) {
  std::vector<BlockSize> sizes = {{PromptUnit::kTokens, 16}};
  for (uint32_t i = 0; i <= kPromptViewsMost; ++i) sizes.push_back({PromptUnit::kBytes, i + 1});
  HashedPrompt hashed;
  EXPECT_EQ(views_of(hashed, "aaaa", 2, sizes).size(), kPromptViewsMost);
  EXPECT_EQ(hashed.views()[0].block, sizes[1]);
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
