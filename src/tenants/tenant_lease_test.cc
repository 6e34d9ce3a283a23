#include "tenants/tenant_lease.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class TenantLeaseTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Tenant> tenant_with(TenantLimits limits) {
    Tenant tenant;
    tenant.name = "a";
    tenant.limits = limits;
    tenant.use = std::make_shared<TenantUse>();
    return std::make_shared<const Tenant>(std::move(tenant));
  }
  std::variant<TenantLease, LimitReached> take(const std::shared_ptr<const Tenant>& tenant,
                                               uint64_t tokens = 0) {
    return TenantLease::take(tenant, tokens, clock_.now());
  }
  static bool got(const std::variant<TenantLease, LimitReached>& taken) {
    return std::holds_alternative<TenantLease>(taken);
  }

  ManualClock clock_;
};

TEST_F(TenantLeaseTest, AMinutesRequestsCanComeAtOnceAndThenOneByOne) {
  const auto tenant = tenant_with({60});
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(got(take(tenant))) << i;
  const auto refused = take(tenant);
  ASSERT_FALSE(got(refused));
  EXPECT_EQ(std::get<LimitReached>(refused).limit, TenantLimit::kRequests);
  EXPECT_EQ(std::get<LimitReached>(refused).retry_after, seconds(1));
  clock_.advance(milliseconds(999));
  EXPECT_FALSE(got(take(tenant)));
  clock_.advance(milliseconds(1));
  EXPECT_TRUE(got(take(tenant)));
  EXPECT_FALSE(got(take(tenant)));
  clock_.advance(seconds(600));
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(got(take(tenant))) << i;
  EXPECT_FALSE(got(take(tenant)));
}

TEST_F(TenantLeaseTest, TokensAreReservedAndCorrectedByWhatWasUsed) {
  const auto tenant = tenant_with({std::nullopt, 600});
  auto first = take(tenant, 600);
  ASSERT_TRUE(got(first));
  const auto refused = take(tenant, 10);
  ASSERT_FALSE(got(refused));
  EXPECT_EQ(std::get<LimitReached>(refused).limit, TenantLimit::kTokens);
  EXPECT_EQ(std::get<LimitReached>(refused).retry_after, seconds(1));
  std::get<TenantLease>(first).end(100, clock_.now());
  EXPECT_TRUE(got(take(tenant, 500)));
  EXPECT_FALSE(got(take(tenant, 1)));
}

TEST_F(TenantLeaseTest, WhatWasUsedBeyondTheReservationIsWaitedFor) {
  const auto tenant = tenant_with({std::nullopt, 600});
  auto first = take(tenant, 100);
  std::get<TenantLease>(first).end(1200, clock_.now());
  const auto refused = take(tenant, 100);
  ASSERT_FALSE(got(refused));
  EXPECT_EQ(std::get<LimitReached>(refused).retry_after, seconds(70));
}

TEST_F(TenantLeaseTest, ARequestLargerThanTheLimitNeverFits) {
  const auto tenant = tenant_with({std::nullopt, 600});
  const auto refused = take(tenant, 601);
  ASSERT_FALSE(got(refused));
  EXPECT_EQ(std::get<LimitReached>(refused).retry_after, Duration::max());
  EXPECT_TRUE(got(take(tenant, 600)));
}

TEST_F(TenantLeaseTest, ARefusedRequestTakesNothing) {
  const auto tenant = tenant_with({10, 600, 1});
  auto first = take(tenant, 300);
  for (int i = 0; i < 100; ++i) {
    const auto refused = take(tenant, 1);
    ASSERT_FALSE(got(refused));
    EXPECT_EQ(std::get<LimitReached>(refused).limit, TenantLimit::kConcurrency);
    EXPECT_EQ(std::get<LimitReached>(refused).retry_after, seconds(1));
  }
  std::get<TenantLease>(first).end(300, clock_.now());
  for (int i = 0; i < 100; ++i) ASSERT_FALSE(got(take(tenant, 301)));
  EXPECT_EQ(tenant->use->requests.level(10, clock_.now()).remaining, 9u);
  EXPECT_EQ(tenant->use->in_flight, 0u);
}

TEST_F(TenantLeaseTest, ALeaseThatIsGoneIsNotInFlight) {
  const auto tenant = tenant_with({std::nullopt, std::nullopt, 1});
  {
    auto lease = take(tenant);
    auto moved = std::move(lease);
    EXPECT_FALSE(got(take(tenant)));
  }
  auto again = take(tenant);
  ASSERT_TRUE(got(again));
  std::get<TenantLease>(again).end(0, clock_.now());
  std::get<TenantLease>(again).end(0, clock_.now());
  EXPECT_EQ(tenant->use->in_flight, 0u);
}

TEST_F(TenantLeaseTest, TheRestIsToldInOpenAisFields) {
  const auto tenant = tenant_with({60, 60'000});
  auto lease = take(tenant, 16'000);
  std::string fields;
  append_limit_fields(*tenant, clock_.now(), fields);
  EXPECT_EQ(fields,
            "x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 59\r\n"
            "x-ratelimit-reset-requests: 1s\r\n"
            "x-ratelimit-limit-tokens: 60000\r\nx-ratelimit-remaining-tokens: 44000\r\n"
            "x-ratelimit-reset-tokens: 16s\r\n");
  fields.clear();
  append_limit_fields(*tenant_with({}), clock_.now(), fields);
  EXPECT_EQ(fields, "");
}

TEST_F(TenantLeaseTest, TimesAreWrittenAsOpenAiDoes) {
  const struct {
    Duration time;
    const char* text;
  } cases[] = {{Duration::zero(), "0s"},
               {std::chrono::microseconds(1), "1ms"},
               {milliseconds(12), "12ms"},
               {seconds(1), "1s"},
               {milliseconds(8640), "8.64s"},
               {milliseconds(1005), "1.005s"},
               {seconds(360), "6m0s"},
               {seconds(3600), "1h0m0s"},
               {milliseconds(90'500), "1m30.5s"},
               {seconds(5400), "1h30m0s"}};
  for (const auto& test : cases) EXPECT_EQ(limit_time_text(test.time), test.text);
}

// All threads together get what there is, and no more.
TEST_F(TenantLeaseTest, ThreadsShareOneLimit) {
  const auto tenant = tenant_with({1000, 1'000'000});
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; ++j) {
        auto lease = take(tenant, 10);
        if (got(lease)) ++taken;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken, 1000);
  EXPECT_EQ(tenant->use->in_flight, 0u);
}

}  // namespace
}  // namespace kvasir
