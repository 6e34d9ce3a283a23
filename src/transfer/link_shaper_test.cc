#include "transfer/link_shaper.h"

#include <gtest/gtest.h>

#include "base/virtual_executor_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;

TEST(LinkShaperTest, BytesTakeTheirTimeTheirScaleMany) {
  LinkShaper link({.gb_per_s = 50}, 1024);
  // 64 tokens of 256 bytes stand for 64 times 262,144: 16.8 MB at 50 GB/s.
  const TimePoint through = link.take(TimePoint(milliseconds(1)), 64 * 256);
  EXPECT_NEAR(to_milliseconds(through - TimePoint(milliseconds(1))), 0.3355, 0.001);
}

TEST(LinkShaperTest, WhatComesLaterWaitsUntilTheLinkIsFree) {
  LinkShaper link({.gb_per_s = 1}, 1);
  EXPECT_EQ(link.take(TimePoint(), 1'000'000), TimePoint(milliseconds(1)));
  EXPECT_EQ(link.take(TimePoint(), 1'000'000), TimePoint(milliseconds(2)));
  EXPECT_EQ(link.take(TimePoint(milliseconds(9)), 1'000'000), TimePoint(milliseconds(10)));
}

TEST(LinkShaperTest, WithoutARateNothingWaits) {
  LinkShaper link({.gb_per_s = 0, .latency = milliseconds(3)}, 1024);
  EXPECT_FALSE(link.limits_rate());
  EXPECT_EQ(link.take(TimePoint(milliseconds(5)), 1'000'000'000), TimePoint(milliseconds(5)));
  EXPECT_EQ(link.latency(), milliseconds(3));
  EXPECT_EQ(link.piece_bytes(512), 512u);
}

TEST(LinkShaperTest, APieceIsWhatGoesThroughInATurn) {
  EXPECT_EQ(LinkShaper({.gb_per_s = 1}, 1000).piece_bytes(1 << 20), 2'000u);
  EXPECT_EQ(LinkShaper({.gb_per_s = 1000}, 1).piece_bytes(1 << 20), size_t{1} << 20);
  EXPECT_EQ(LinkShaper({.gb_per_s = 1e-9}, 1000).piece_bytes(1 << 20), 1u);
}

TEST(LinkShaperTest, TimersThatAreLateSlowNothingDown) {
  LinkShaper link({.gb_per_s = 1}, 1);
  TimePoint last = link.take(TimePoint(), 1'000'000);
  for (int piece = 2; piece <= 50; ++piece) {
    last = link.take_next(last, last + std::chrono::microseconds(100), 1'000'000);
    EXPECT_EQ(last, TimePoint(milliseconds(piece)));
  }
  EXPECT_EQ(link.take_next(last, TimePoint(milliseconds(190)), 1'000'000),
            TimePoint(milliseconds(191)));
}

// Two transfers of the same size that begin together end together, after twice the time.
TEST(LinkShaperTest, TransfersShareTheLinkInTurns) {
  VirtualExecutor executor;
  LinkShaper link({.gb_per_s = 1}, 1);
  constexpr uint64_t kBytes = 100'000'000;
  TimePoint ends[2];
  std::function<void(int, uint64_t)> go_on = [&](int transfer, uint64_t left) {
    if (left == 0) {
      ends[transfer] = executor.now();
      return;
    }
    const uint64_t piece = std::min<uint64_t>(left, link.piece_bytes(kBytes));
    const TimePoint through = link.take(executor.now(), piece);
    executor.after(through - executor.now(),
                   [&go_on, transfer, left, piece] { go_on(transfer, left - piece); });
  };
  go_on(0, kBytes);
  go_on(1, kBytes);
  ASSERT_TRUE(executor.run_until_idle(1'000));
  EXPECT_EQ(ends[1], TimePoint(milliseconds(200)));
  EXPECT_EQ(ends[0], TimePoint(milliseconds(200)) - LinkShaper::kTurn);
}

}  // namespace
}  // namespace kvasir
