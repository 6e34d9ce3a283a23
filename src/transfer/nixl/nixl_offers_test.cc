#include "transfer/nixl/nixl_offers.h"

#include <gtest/gtest.h>

#include "base/virtual_executor_fixture.h"

namespace kvasir {
namespace {

using std::chrono::seconds;

class NixlOffersTest : public testing::Test {
 protected:
  void offer(const std::string& id, uint64_t request) {
    offers.add(id, KvRequestId{request}, {4, 9, 2}, {40, 90, 20});
  }
  void at(int second) { executor.run_until(TimePoint(seconds(second))); }
  std::string why_not(const NixlRead& read) {
    const Result<void> checked = offers.check(read);
    return checked.ok() ? "" : checked.error().message;
  }

  VirtualExecutor executor;
  std::vector<NixlOffers::Over> over;
  NixlOffers offers{executor, seconds(30), seconds(100),
                    [this](const NixlOffers::Over& told) { over.push_back(told); }};
};

TEST_F(NixlOffersTest, AnOfferEndsWithItsLease) {
  offer("r", 7);
  at(29);
  EXPECT_TRUE(offers.stands("r"));
  EXPECT_TRUE(over.empty());
  at(30);
  EXPECT_FALSE(offers.stands("r"));
  ASSERT_EQ(over.size(), 1u);
  EXPECT_EQ(over[0].request, KvRequestId{7});
  EXPECT_EQ(over[0].blocks, 3u);
  EXPECT_TRUE(over[0].expired);
  at(1'000);
  EXPECT_EQ(over.size(), 1u);
}

TEST_F(NixlOffersTest, AHeartbeatGivesTwoThirdsOfALease) {
  offer("r", 7);
  at(5);
  offers.beat("r");  // until 25, which the lease gives anyway
  at(29);
  offers.beat("r");
  at(48);
  EXPECT_TRUE(offers.stands("r"));
  at(49);
  EXPECT_FALSE(offers.stands("r"));
  EXPECT_TRUE(over.at(0).expired);
}

TEST_F(NixlOffersTest, HeartbeatsDoNotHoldItForEver) {
  offer("r", 7);
  for (int second = 5; second < 100; second += 5) {
    at(second);
    offers.beat("r");
  }
  EXPECT_TRUE(offers.stands("r"));
  at(100);
  EXPECT_FALSE(offers.stands("r"));
}

TEST_F(NixlOffersTest, WhatWasReadIsOverAtOnceAndOnce) {
  offer("r", 7);
  offer("s", 8);
  EXPECT_TRUE(offers.done("r"));
  EXPECT_FALSE(offers.done("r"));
  offers.beat("r");
  ASSERT_EQ(over.size(), 1u);
  EXPECT_FALSE(over[0].expired);
  EXPECT_EQ(over[0].request, KvRequestId{7});
  EXPECT_TRUE(offers.stands("s"));
  at(1'000);
  EXPECT_EQ(over.size(), 2u);
}

TEST_F(NixlOffersTest, OnlyWhatIsOfferedIsRead) {
  offer("r", 7);
  const auto half = NixlEncoding::kHalf;
  EXPECT_EQ(why_not({"r", 20, half, false, {4, 9, 2}}), "");
  EXPECT_EQ(why_not({"r", 90, half, true, {9}}), "");
  EXPECT_EQ(why_not({"r", 20, half, false, {9, 2}}), "");
  EXPECT_NE(why_not({"q", 20, half, false, {4, 9, 2}}), "");
  EXPECT_NE(why_not({"r", 20, half, false, {5}}), "");
  EXPECT_NE(why_not({"r", 20, half, false, {4, 2}}), "");
  EXPECT_NE(why_not({"r", 20, half, false, {4, 9, 2, 4}}), "");
  EXPECT_NE(why_not({"r", 20, half, false, {2, 9}}), "");
}

TEST_F(NixlOffersTest, WhoDoesNotKnowThePromptReadsNothing) {
  offer("r", 7);
  const auto half = NixlEncoding::kHalf;
  EXPECT_NE(why_not({"r", 90, half, false, {4, 9, 2}}), "");
  EXPECT_NE(why_not({"r", 0, half, false, {4}}), "");
}

TEST_F(NixlOffersTest, AnExpiredOneIsReadNoMore) {
  offer("r", 7);
  at(30);
  EXPECT_NE(why_not({"r", 40, NixlEncoding::kHalf, false, {4}}), "");
}

}  // namespace
}  // namespace kvasir
