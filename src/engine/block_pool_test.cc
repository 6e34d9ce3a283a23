#include "engine/block_pool.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace kvasir {
namespace {

TEST(BlockPool, TakesTheBlockThatWasFreedLongestAgo) {
  BlockPool pool(3);
  EXPECT_EQ(pool.take(), 0u);
  EXPECT_EQ(pool.take(), 1u);
  EXPECT_EQ(pool.take(), 2u);
  EXPECT_EQ(pool.free_count(), 0u);
  pool.release(1);
  pool.release(0);
  pool.release(2);
  EXPECT_EQ(pool.take(), 1u);
  EXPECT_EQ(pool.take(), 0u);
  EXPECT_EQ(pool.take(), 2u);
  EXPECT_TRUE(pool.consistent(3));
  EXPECT_FALSE(pool.consistent(2));
}

TEST(BlockPool, FreedBlocksAreFoundUntilTheyAreTaken) {
  BlockPool pool(2);
  const uint32_t block = pool.take();
  pool.name(block, 77);
  EXPECT_EQ(pool.find(77), block);
  pool.release(block);
  EXPECT_EQ(pool.find(77), block);
  EXPECT_FALSE(pool.in_use(block));
  pool.take();  // the block that was never used is freed longer
  EXPECT_EQ(pool.find(77), block);
  EXPECT_EQ(pool.take(), block);
  EXPECT_EQ(pool.find(77), kNoBlock);
  EXPECT_TRUE(pool.consistent(2));
}

TEST(BlockPool, SharedBlocksLeaveTheFreeListAndAreFreedByTheLast) {
  BlockPool pool(2);
  const uint32_t block = pool.take();
  pool.name(block, 77);
  pool.share(block);
  pool.release(block);
  EXPECT_EQ(pool.free_count(), 1u);
  pool.release(block);
  EXPECT_EQ(pool.free_count(), 2u);
  pool.share(block);
  EXPECT_EQ(pool.free_count(), 1u);
  EXPECT_NE(pool.take(), block);
  EXPECT_TRUE(pool.consistent(2));
}

TEST(BlockPool, TwinsStandInForEachOther) {
  BlockPool pool(3);
  for (uint32_t block : {0u, 1u, 2u}) {
    EXPECT_EQ(pool.take(), block);
    pool.name(block, 77);
  }
  EXPECT_EQ(pool.find(77), 0u);
  for (uint32_t block : {2u, 0u, 1u}) pool.release(block);
  EXPECT_EQ(pool.take(), 2u);
  EXPECT_EQ(pool.find(77), 0u);
  EXPECT_TRUE(pool.consistent(1));
  EXPECT_EQ(pool.take(), 0u);
  EXPECT_EQ(pool.find(77), 1u);
  EXPECT_TRUE(pool.consistent(2));
  EXPECT_EQ(pool.take(), 1u);
  EXPECT_EQ(pool.find(77), kNoBlock);
  EXPECT_TRUE(pool.consistent(3));
}

TEST(BlockPool, ForgetsAllHashesAtOnce) {
  BlockPool pool(4);
  for (int i = 0; i < 3; ++i) pool.name(pool.take(), i == 2 ? 1 : i);
  for (uint32_t block : {0u, 1u, 2u}) pool.release(block);
  pool.forget_hashes();
  EXPECT_EQ(pool.find(0), kNoBlock);
  EXPECT_EQ(pool.find(1), kNoBlock);
  EXPECT_TRUE(pool.consistent(0));
}

TEST(BlockPool, StaysConsistentUnderRandomUse) {
  Random random(1);
  BlockPool pool(50);
  std::vector<uint32_t> held;
  for (int i = 0; i < 20000; ++i) {
    const uint64_t choice = random.below(4);
    if (choice == 0 && pool.free_count() > 0) {
      held.push_back(pool.take());
      if (random.below(2)) pool.name(held.back(), random.below(20));
    } else if (choice == 1) {
      const uint32_t block = pool.find(random.below(20));
      if (block != kNoBlock) {
        pool.share(block);
        held.push_back(block);
      }
    } else if (!held.empty()) {
      std::swap(held[random.below(held.size())], held.back());
      pool.release(held.back());
      held.pop_back();
    }
    ASSERT_TRUE(pool.consistent(held.size())) << "after operation " << i;
  }
}

TEST(BlockPoolDeathTest, RefusesMisuse) {
  BlockPool pool(1);
  EXPECT_DEATH(pool.release(0), "only a block in use");
  EXPECT_DEATH(pool.name(0, 1), "named once");
  pool.take();
  EXPECT_DEATH(pool.take(), "only when one is free");
  EXPECT_DEATH(pool.forget_hashes(), "no block is in use");
}

}  // namespace
}  // namespace kvasir
