#include "transfer/p2p/p2p_arrivals.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/virtual_executor_fixture.h"
#include "transfer/connector_side_fixture.h"

namespace kvasir {
namespace {

class P2pArrivalsTest : public testing::Test {
 protected:
  static constexpr size_t kBlockBytes = 64;

  P2pArrivalsTest() { make(options_); }

  std::shared_ptr<P2pTensor> announce(uint32_t first, uint32_t count,
                                      const std::string& key = "k") {
    return arrivals_->announce(key, first, count, prompt_.blocks[first + count - 1], false);
  }
  void bring(uint32_t first, uint32_t count, const std::string& key = "k", bool sound = true) {
    const auto tensor = announce(first, count, key);
    ASSERT_NE(tensor, nullptr);
    const std::span<std::byte> bytes = arrivals_->open(*tensor);
    for (uint32_t i = 0; i < count; ++i) {
      fill_kv_block(prompt_.blocks[first + i], bytes.subspan(i * kBlockBytes, kBlockBytes));
    }
    arrivals_->arrived(key, tensor, sound);
  }
  void wait(uint32_t first, uint32_t count, const std::string& key = "k") {
    arrivals_->wait(
        {KvRequestId{1}, key, first, ConnectorSide::blocks_from(10, count), prompt_.blocks});
  }
  uint32_t got() {
    EXPECT_EQ(outcomes_.size(), 1u);
    const uint32_t blocks = outcomes_.empty() ? 99 : outcomes_.back().fetched.blocks;
    outcomes_.clear();
    return blocks;
  }
  void make(const P2pArrivalOptions& options) {
    arrivals_ = std::make_unique<P2pArrivals>(
        executor_, memory_, options,
        [this](const P2pAwaited&, const P2pArrivals::Outcome& outcome) {
          outcomes_.push_back(outcome);
        },
        [this](KvRequestId) { ++receiving_; });
  }

  const TestPrompt prompt_{41};
  VirtualExecutor executor_;
  KvMemory memory_ = KvMemory::create(64, small_kv_layout()).value();
  std::vector<P2pArrivals::Outcome> outcomes_;
  int receiving_ = 0;
  P2pArrivalOptions options_;
  std::unique_ptr<P2pArrivals> arrivals_;
};

TEST_F(P2pArrivalsTest, BlocksComeBeforeOrAfterTheyAreAskedFor) {
  bring(0, 4);
  wait(0, 10);
  EXPECT_TRUE(outcomes_.empty());
  bring(8, 2);
  EXPECT_TRUE(outcomes_.empty()) << "there is a gap";
  bring(4, 4);
  EXPECT_EQ(got(), 10u);
  EXPECT_EQ(arrivals_->inbox().bytes(), 0u);
  bring(0, 10);
  wait(3, 5);
  EXPECT_EQ(got(), 5u);
}

TEST_F(P2pArrivalsTest, EachIsCopiedAsItComesAndItsBufferServesTheNext) {
  wait(0, 8);
  const auto first = announce(0, 4), second = announce(4, 4);
  const std::span<std::byte> bytes = arrivals_->open(*first);
  std::ranges::fill(bytes, std::byte{7});
  arrivals_->arrived("k", first, true);
  EXPECT_TRUE(outcomes_.empty());
  for (const std::byte byte : memory_.block(13)) ASSERT_EQ(byte, std::byte{7});
  EXPECT_EQ(arrivals_->open(*second).data(), bytes.data());
  arrivals_->arrived("k", second, true);
  EXPECT_EQ(got(), 8u);
  options_.limits.spare_bytes_max = 4 * kBlockBytes - 1;
  make(options_);
  wait(0, 4);
  bring(0, 4);
  EXPECT_EQ(got(), 4u) << "a buffer that is too large to be kept";
}

TEST_F(P2pArrivalsTest, WhatIsTakenIsNobodyElses) {
  wait(0, 8);
  bring(0, 4);
  arrivals_->wait({KvRequestId{2}, "k", 0, ConnectorSide::blocks_from(30, 8), prompt_.blocks});
  executor_.run_until(executor_.now() + options_.receive_patience);
  ASSERT_EQ(outcomes_.size(), 2u);
  EXPECT_EQ(outcomes_[0].fetched.blocks, 4u);
  EXPECT_EQ(outcomes_[1].fetched.blocks, 0u);
  for (const std::byte byte : memory_.block(30)) ASSERT_EQ(byte, std::byte{0});
}

TEST_F(P2pArrivalsTest, TheWaitIsBounded) {
  bring(0, 4);
  wait(0, 10);
  executor_.run_until(executor_.now() + options_.receive_patience - Duration(1));
  EXPECT_TRUE(outcomes_.empty());
  executor_.run_until(executor_.now() + Duration(1));
  ASSERT_EQ(outcomes_.size(), 1u);
  EXPECT_TRUE(outcomes_[0].late);
  EXPECT_EQ(outcomes_[0].fetched.problem, "they do not come in time");
  EXPECT_EQ(got(), 4u) << "the rest is computed";
}

TEST_F(P2pArrivalsTest, ALinkHasItsSpeedAndProgressGivesTime) {
  options_.link.gb_per_s = 4 * kBlockBytes / 1e9;  // four blocks a second
  options_.link.latency = std::chrono::milliseconds(500);
  options_.receive_patience = std::chrono::seconds(2);
  make(options_);
  wait(0, 8);
  bring(0, 4);
  bring(4, 4);
  const TimePoint begun = executor_.now();
  executor_.run_until(begun + std::chrono::milliseconds(1500));
  EXPECT_EQ(receiving_, 1) << "the first blocks are there";
  executor_.run_until(begun + std::chrono::milliseconds(2499));
  EXPECT_TRUE(outcomes_.empty());
  executor_.run_until(begun + std::chrono::milliseconds(2500));
  EXPECT_EQ(got(), 8u);
  EXPECT_EQ(receiving_, 1);
}

TEST_F(P2pArrivalsTest, WhatFailsIsNotWaitedFor) {
  wait(0, 10);
  bring(0, 4);
  bring(4, 4, "k", false);  // its checksum is wrong
  EXPECT_EQ(got(), 4u);
  wait(0, 4);
  arrivals_->fail("k");
  EXPECT_EQ(got(), 0u);
  arrivals_->fail("k");  // known before it is asked for
  wait(0, 4);
  EXPECT_EQ(got(), 0u);
}

TEST_F(P2pArrivalsTest, WhatIsOnItsWayIsWaitedForThoughOthersFail) {
  const auto first = announce(0, 4);
  arrivals_->open(*first);
  arrivals_->fail("k");
  wait(0, 8);
  EXPECT_TRUE(outcomes_.empty());
  arrivals_->arrived("k", first, true);
  EXPECT_EQ(got(), 4u);
}

TEST_F(P2pArrivalsTest, WhatFindsNoRoomIsNotWaitedFor) {
  options_.limits.bytes_max = 4 * kBlockBytes;
  make(options_);
  wait(0, 8);
  bring(0, 4);
  EXPECT_EQ(announce(4, 4), nullptr);
  EXPECT_EQ(got(), 4u);
  EXPECT_NE(announce(0, 4, "other"), nullptr) << "there is room again";
  EXPECT_EQ(announce(0, 1, "third"), nullptr);
  options_.limits.bytes_max = ~0ULL;
  options_.limits.requests_max = 1;
  options_.limits.tensors_max = 1;
  make(options_);
  EXPECT_NE(announce(0, 4), nullptr);
  EXPECT_NE(announce(0, 4), nullptr) << "in place of the former";
  EXPECT_EQ(announce(4, 4), nullptr);
  EXPECT_EQ(announce(0, 4, "other"), nullptr);
}

TEST_F(P2pArrivalsTest, BlocksOfAnotherPromptAreRefused) {
  const auto tensor = arrivals_->announce("k", 0, 4, prompt_.blocks[3] + 1, false);
  arrivals_->open(*tensor);
  arrivals_->arrived("k", tensor, true);
  wait(0, 4);
  ASSERT_EQ(outcomes_.size(), 1u);
  EXPECT_TRUE(outcomes_[0].refused);
  EXPECT_EQ(got(), 0u);
  const auto longer = arrivals_->announce("k", 0, 11, prompt_.blocks[9], false);
  arrivals_->open(*longer);
  arrivals_->arrived("k", longer, true);
  wait(0, 4);
  EXPECT_EQ(got(), 0u);
}

TEST_F(P2pArrivalsTest, WhatNobodyAsksForGoes) {
  bring(0, 4);
  bring(0, 4, "other");
  executor_.run_until(executor_.now() + options_.keep * 2);
  EXPECT_EQ(arrivals_->inbox().bytes(), 0u);
  EXPECT_EQ(arrivals_->expired(), 2u);
}

TEST_F(P2pArrivalsTest, WhatComesTooLateForItsRequestIsUnwanted) {
  EXPECT_TRUE(arrivals_->wants("k"));
  bring(0, 4);
  arrivals_->drop("k", 10);
  EXPECT_EQ(arrivals_->inbox().requests(), 0u);
  EXPECT_FALSE(arrivals_->wants("k")) << "the others are yet to come";
  wait(0, 4);
  EXPECT_TRUE(arrivals_->wants("k")) << "it was asked for again";
  bring(0, 4);
  EXPECT_EQ(got(), 4u);
  EXPECT_FALSE(arrivals_->wants("k"));
  executor_.run_until(executor_.now() + options_.unwanted.keep - Duration(1));
  EXPECT_FALSE(arrivals_->wants("k"));
  executor_.run_until(executor_.now() + Duration(1));
  EXPECT_TRUE(arrivals_->wants("k"));
  // Nothing more can come of these.
  bring(0, 4, "whole");
  announce(4, 6, "whole");
  arrivals_->drop("whole", 10);
  EXPECT_TRUE(arrivals_->wants("whole"));
}

TEST_F(P2pArrivalsTest, TheOldestOfTheUnwantedAreForgottenFirst) {
  options_.unwanted.requests_max = 2;
  make(options_);
  for (const char* key : {"a", "b", "a", "c"}) arrivals_->drop(key, 10);
  EXPECT_TRUE(arrivals_->wants("a"));
  EXPECT_FALSE(arrivals_->wants("b"));
  EXPECT_FALSE(arrivals_->wants("c"));
}

TEST_F(P2pArrivalsTest, NothingIsWrittenAfterARequestGaveUp) {
  wait(0, 4);
  arrivals_->give_up(KvRequestId{1}, "its client left");
  EXPECT_EQ(got(), 0u);
  arrivals_->give_up(KvRequestId{1}, "its client left");
  bring(0, 4);
  EXPECT_TRUE(outcomes_.empty());
  for (const std::byte byte : memory_.block(10)) ASSERT_EQ(byte, std::byte{0});
}

}  // namespace
}  // namespace kvasir
