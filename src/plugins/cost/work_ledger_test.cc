#include "plugins/cost/work_ledger.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

using std::chrono::seconds;

constexpr EndpointId kWorker{0};

TimePoint at(int second) {
  return TimePoint(seconds(second));
}

PendingWork visible(RequestId request, int prefill_seconds, uint32_t tokens = 100) {
  return PendingWork{request, seconds(prefill_seconds), tokens, true};
}
PendingWork invisible(RequestId request, int prefill_seconds, uint32_t tokens = 100) {
  return PendingWork{request, seconds(prefill_seconds), tokens, false};
}

class WorkLedgerTest : public ::testing::Test {
 protected:
  // In seconds.
  int64_t wait(int now) {
    return std::chrono::duration_cast<seconds>(ledger_.wait(kWorker, at(now))).count();
  }

  WorkLedger ledger_{2, 4};
};

TEST_F(WorkLedgerTest, AnIdleEndpointHasNoWaitAndAForeignBookingChangesNothing) {
  ledger_.book(EndpointId(1), visible(1, 5), at(0));
  EXPECT_EQ(wait(0), 0);
  EXPECT_EQ(ledger_.decoding(kWorker, at(0)).rows, 0u);
}

TEST_F(WorkLedgerTest, WaitIsTheRestOfTheFirstAndAllOfThoseBehind) {
  ledger_.book(kWorker, visible(1, 10), at(0));
  ledger_.book(kWorker, visible(2, 3), at(1));
  ledger_.book(kWorker, visible(3, 2), at(1));
  EXPECT_EQ(wait(1), 9 + 3 + 2);
  EXPECT_EQ(wait(8), 2 + 3 + 2);
}

TEST_F(WorkLedgerTest, AnOverdueFirstCountsForTheTimeItIsOverdue) {
  ledger_.book(kWorker, visible(1, 10), at(0));
  ledger_.book(kWorker, visible(2, 3), at(0));
  EXPECT_EQ(wait(10), 0 + 3);
  EXPECT_EQ(wait(14), 4 + 3);
}

TEST_F(WorkLedgerTest, ItTellsWhenTheWaitWillHaveFallen) {
  ledger_.book(kWorker, visible(1, 10), at(0));
  ledger_.book(kWorker, visible(2, 3), at(0));
  const struct {
    int now;
    int level;
    std::optional<Duration> expected;
  } cases[] = {
      {0, 13, Duration::zero()}, {0, 5, seconds(8)},   {4, 5, seconds(4)},
      {0, 3, seconds(10)},       {0, 2, std::nullopt},  // the first would be overdue by then
      {12, 3, std::nullopt},                            // it is
  };
  for (const auto& [now, level, expected] : cases) {
    EXPECT_EQ(ledger_.until_wait_is(kWorker, seconds(level), at(now)), expected)
        << now << " " << level;
  }
}

TEST_F(WorkLedgerTest, AFirstTokenStartsTheNextPrefillAndOneMoreDecode) {
  ledger_.book(kWorker, visible(1, 10, 500), at(0));
  ledger_.book(kWorker, visible(2, 3, 70), at(0));
  ledger_.first_token(1, at(12));
  EXPECT_EQ(wait(12), 3);
  EXPECT_EQ(wait(13), 2);
  EXPECT_EQ(ledger_.decoding(kWorker, at(13)).rows, 1u);
  EXPECT_EQ(ledger_.decoding(kWorker, at(13)).kv_tokens, 500u);
  ledger_.ended(1, at(14));
  EXPECT_EQ(ledger_.decoding(kWorker, at(14)).rows, 0u);
  EXPECT_EQ(ledger_.decoding(kWorker, at(14)).kv_tokens, 0u);
}

TEST_F(WorkLedgerTest, AnEndBeforeTheFirstTokenReleasesThePrefill) {
  ledger_.book(kWorker, visible(1, 10), at(0));
  ledger_.book(kWorker, visible(2, 3), at(0));
  ledger_.ended(2, at(1));
  EXPECT_EQ(wait(1), 9);
  ledger_.ended(1, at(2));
  EXPECT_EQ(wait(2), 0);
  EXPECT_EQ(ledger_.decoding(kWorker, at(2)).rows, 0u);
}

TEST_F(WorkLedgerTest, AnInvisiblePrefillIsReleasedAtItsPredictedEnd) {
  ledger_.book(kWorker, invisible(1, 4, 50), at(0));
  ledger_.book(kWorker, invisible(2, 3, 60), at(0));
  ledger_.book(kWorker, visible(3, 5), at(0));
  EXPECT_EQ(wait(3), 1 + 3 + 5);
  EXPECT_EQ(wait(5), 2 + 5);  // the second one runs since 4
  EXPECT_EQ(ledger_.decoding(kWorker, at(5)).rows, 1u);
  EXPECT_EQ(wait(9), 3);  // the third one since 7
  EXPECT_EQ(ledger_.decoding(kWorker, at(9)).kv_tokens, 110u);
  ledger_.ended(1, at(9));
  ledger_.first_token(2, at(9));  // seen late: released before
  ledger_.ended(2, at(9));
  EXPECT_EQ(ledger_.decoding(kWorker, at(9)).rows, 0u);
}

TEST_F(WorkLedgerTest, ALaterAnswerReleasesTheInvisibleOnesBeforeIt) {
  ledger_.book(kWorker, invisible(1, 10), at(0));
  ledger_.book(kWorker, visible(2, 6), at(0));
  ledger_.book(kWorker, invisible(3, 10), at(0));
  ledger_.book(kWorker, visible(4, 5), at(0));
  ledger_.book(kWorker, invisible(5, 7), at(0));
  EXPECT_FALSE(ledger_.first_token(4, at(2)).has_value());  // nobody knows since when it was first
  EXPECT_EQ(wait(2), 6 + 7);
  EXPECT_EQ(ledger_.decoding(kWorker, at(2)).rows, 3u);
}

TEST_F(WorkLedgerTest, AVisibleFirstIsObservedFromWhenItWasFirst) {
  ledger_.book(kWorker, visible(1, 10), at(0));
  ledger_.book(kWorker, visible(2, 3), at(4));
  const auto first = ledger_.first_token(1, at(12));
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->predicted, seconds(10));
  EXPECT_EQ(first->actual, seconds(12));
  const auto second = ledger_.first_token(2, at(14));
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->actual, seconds(2));
}

TEST_F(WorkLedgerTest, NothingIsObservedBehindTheFirstOrWhenInvisible) {
  ledger_.book(kWorker, visible(1, 10), at(0));
  ledger_.book(kWorker, visible(2, 3), at(0));
  EXPECT_FALSE(ledger_.first_token(2, at(5)).has_value());
  ledger_.ended(1, at(5));
  ledger_.book(kWorker, invisible(3, 3), at(6));
  EXPECT_FALSE(ledger_.first_token(3, at(7)).has_value());
}

TEST_F(WorkLedgerTest, NothingIsObservedWhileTheCacheMayBeFull) {
  ledger_.set_kv_capacity(kWorker, 1000);
  ledger_.book(kWorker, visible(1, 1, 700), at(0));
  EXPECT_TRUE(ledger_.first_token(1, at(1)).has_value());
  ledger_.book(kWorker, visible(2, 1, 201), at(2));  // 901 of 1000
  EXPECT_FALSE(ledger_.first_token(2, at(3)).has_value());
  ledger_.ended(2, at(4));
  ledger_.book(kWorker, visible(3, 1, 200), at(5));  // 900 of 1000
  EXPECT_TRUE(ledger_.first_token(3, at(6)).has_value());
}

TEST_F(WorkLedgerTest, NothingIsObservedWhileAllSeatsAreTaken) {
  for (RequestId request = 1; request <= 4; ++request) {
    ledger_.book(kWorker, visible(request, 1), at(0));
    EXPECT_TRUE(ledger_.first_token(request, at(1)).has_value());
  }
  ledger_.book(kWorker, visible(5, 1), at(2));
  EXPECT_FALSE(ledger_.first_token(5, at(3)).has_value());
}

TEST(WorkLedgerDeathTest, ForeignRequestsAreProgrammingErrors) {
  WorkLedger ledger(1, 0);
  EXPECT_DEATH(ledger.first_token(1, at(0)), "booked request answers");
  EXPECT_DEATH(ledger.ended(1, at(0)), "booked request ends");
}

}  // namespace
}  // namespace kvasir
