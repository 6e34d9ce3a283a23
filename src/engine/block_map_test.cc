#include "engine/block_map.h"

#include <gtest/gtest.h>

#include <unordered_map>

#include "base/random.h"

namespace kvasir {
namespace {

TEST(BlockMap, FindsWhatWasInserted) {
  BlockMap map(4);
  EXPECT_EQ(map.find(7), kNoBlock);
  map.insert(7, 1);
  map.insert(0, 2);
  EXPECT_EQ(map.find(7), 1u);
  EXPECT_EQ(map.find(0), 2u);
  map.replace(7, 3);
  EXPECT_EQ(map.find(7), 3u);
  map.erase(7);
  EXPECT_EQ(map.find(7), kNoBlock);
  EXPECT_EQ(map.size(), 1u);
  map.clear();
  EXPECT_EQ(map.find(0), kNoBlock);
  EXPECT_EQ(map.size(), 0u);
}

// Hashes from a small range collide all the time: the runs of probes get long and are cut in the
// middle.
TEST(BlockMap, AgreesWithAMapThatIsSlower) {
  Random random(1);
  BlockMap map(100);
  std::unordered_map<BlockHash, uint32_t> naive;
  for (uint32_t i = 0; i < 100000; ++i) {
    const BlockHash hash = random.below(300) * (random.below(2) ? 1 : 256);
    const auto found = naive.find(hash);
    ASSERT_EQ(map.find(hash), found == naive.end() ? kNoBlock : found->second);
    if (found != naive.end()) {
      map.erase(hash);
      naive.erase(found);
    } else if (naive.size() < 100) {
      map.insert(hash, i);
      naive.emplace(hash, i);
    }
    ASSERT_EQ(map.size(), naive.size());
  }
  for (const auto& [hash, block] : naive) EXPECT_EQ(map.find(hash), block);
}

TEST(BlockMapDeathTest, RefusesMisuse) {
  BlockMap map(1);
  map.insert(1, 1);
  EXPECT_DEATH(map.insert(2, 2), "has room");
  EXPECT_DEATH(map.erase(2), "has an entry");
  EXPECT_DEATH(map.replace(2, 1), "has an entry");
}

}  // namespace
}  // namespace kvasir
