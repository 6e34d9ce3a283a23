#include "kvindex/index_snapshot.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "kvindex/block_index_storm_fixture.h"
#include "kvindex/chain_index.h"

namespace kvasir {
namespace {

struct AllBlocks final : BlockIndex::Visitor {
  explicit AllBlocks(const BlockIndex& index) {
    index.visit(*this);
    std::sort(blocks.begin(), blocks.end());
  }
  void on_block(const BlockIndex::KnownBlock& block) override { blocks.push_back(block); }
  std::vector<BlockIndex::KnownBlock> blocks;
};

std::unique_ptr<BlockIndex> make_chain_index(const BlockIndexOptions& options) {
  return std::make_unique<ChainIndex>(options);
}

// An index after a storm, and names for all its holders.
class IndexSnapshotTest : public testing::Test {
 protected:
  explicit IndexSnapshotTest(uint32_t length_max = 60) {
    StormOptions options;
    options.seed = 11;
    options.tiers = 3;
    options.dialects = 3;
    options.length_max = length_max;
    storm_.emplace(options, make_chain_index);
    EXPECT_TRUE(storm_->run(2'000));
    for (uint32_t id = 0; id < options.holders; ++id) {
      holders_.push_back({HolderId{id}, "holder " + std::to_string(id)});
    }
    bytes_ = index_snapshot(storm_->index(), holders_);
  }
  static std::unique_ptr<BlockIndex> empty_index() {
    auto index = make_chain_index({});
    for (int i = 0; i < 12; ++i) index->add_holder();
    return index;
  }
  static std::optional<HolderId> find_holder(std::string_view name) {
    return HolderId{static_cast<uint32_t>(std::stoul(std::string(name.substr(7))))};
  }

  std::optional<BlockIndexStorm> storm_;
  std::vector<SnapshotHolder> holders_;
  std::string bytes_;
};

TEST_F(IndexSnapshotTest, EverythingIsRestored) {
  const auto index = empty_index();
  const Result<RestoredSnapshot> restored = restore_snapshot(bytes_, *index, find_holder);
  ASSERT_TRUE(restored) << restored.error().message;
  const AllBlocks expected(storm_->index());
  EXPECT_EQ(restored->blocks, expected.blocks.size());
  EXPECT_GT(restored->blocks, 1000u);
  EXPECT_EQ(restored->left_out, 0u);
  EXPECT_TRUE(AllBlocks(*index).blocks == expected.blocks);
  EXPECT_EQ(index->memberships(), storm_->index().memberships());
  EXPECT_EQ(index->distinct_blocks(), storm_->index().distinct_blocks());
}

TEST_F(IndexSnapshotTest, TheNaiveIndexTakesItToo) {
  NaiveBlockIndex naive({});
  for (int i = 0; i < 12; ++i) naive.add_holder();
  ASSERT_TRUE(restore_snapshot(bytes_, naive, find_holder));
  EXPECT_TRUE(AllBlocks(naive).blocks == AllBlocks(storm_->index()).blocks);
}

TEST_F(IndexSnapshotTest, WhoIsNotFoundIsLeftOut) {
  const auto index = empty_index();
  const Result<RestoredSnapshot> restored =
      restore_snapshot(bytes_, *index, [](std::string_view name) -> std::optional<HolderId> {
        if (name == "holder 3") return std::nullopt;
        return find_holder(name);
      });
  ASSERT_TRUE(restored);
  EXPECT_EQ(restored->holders, holders_.size() - 1);
  EXPECT_GT(restored->left_out, 0u);
  EXPECT_EQ(index->blocks_of(HolderId{3}), 0u);
}

TEST_F(IndexSnapshotTest, AFileIsWrittenAndLoaded) {
  const std::filesystem::path folder = testing::TempDir() + "index_snapshot_test";
  std::filesystem::create_directories(folder);
  const std::string path = folder / "kv.snapshot";
  ASSERT_TRUE(write_index_snapshot(path, storm_->index(), holders_));
  ASSERT_TRUE(write_index_snapshot(path, storm_->index(), holders_)) << "over the first";
  const auto index = empty_index();
  ASSERT_TRUE(load_index_snapshot(path, *index, find_holder));
  EXPECT_EQ(index->memberships(), storm_->index().memberships());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);

  std::ofstream(path, std::ios::app) << "x";
  const Result<RestoredSnapshot> longer = load_index_snapshot(path, *empty_index(), find_holder);
  ASSERT_FALSE(longer);
  EXPECT_NE(longer.error().message.find(path), std::string::npos) << longer.error().message;
  EXPECT_FALSE(load_index_snapshot(path, *index, find_holder, 10)) << "longer than allowed";
  EXPECT_FALSE(load_index_snapshot(folder / "none", *index, find_holder));
  EXPECT_FALSE(write_index_snapshot(folder / "none" / "x", *index, holders_));
  std::filesystem::remove_all(folder);
}

class SmallIndexSnapshotTest : public IndexSnapshotTest {
 protected:
  SmallIndexSnapshotTest() : IndexSnapshotTest(4) {}
};

TEST_F(SmallIndexSnapshotTest, EveryTruncationAndEveryFlippedBitIsRefused) {
  const auto index = empty_index();
  for (size_t length = 0; length < bytes_.size(); ++length) {
    ASSERT_FALSE(restore_snapshot(bytes_.substr(0, length), *index, find_holder)) << length;
  }
  for (size_t i = 0; i < bytes_.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes_;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      const Result<RestoredSnapshot> restored = restore_snapshot(flipped, *index, find_holder);
      ASSERT_FALSE(restored) << "byte " << i << " bit " << bit;
      ASSERT_FALSE(restored.error().message.empty());
    }
  }
  EXPECT_EQ(index->memberships(), 0u);
}

TEST_F(SmallIndexSnapshotTest, AnotherVersionIsNamed) {
  bytes_[7] = 9;
  const Result<RestoredSnapshot> restored = restore_snapshot(bytes_, *empty_index(), find_holder);
  ASSERT_FALSE(restored);
  EXPECT_NE(restored.error().message.find("version 9"), std::string::npos);
}

}  // namespace
}  // namespace kvasir
