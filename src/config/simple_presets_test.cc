// round-robin, random and least-load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "config/preset_fixture.h"
#include "plugins/fleet_fixture.h"

namespace kvasir {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

std::vector<uint32_t> picks(Policy& policy, const FakeFleet& fleet, RequestId first, int count) {
  std::vector<uint32_t> result;
  for (int i = 0; i < count; ++i) {
    result.push_back(index_of(fleet.pick(policy, streamed_request(first + i)).endpoint));
  }
  return result;
}

TEST(RoundRobinPreset, TakesEveryEndpointInTurn) {
  const auto policy = preset_policy("round-robin", 3);
  EXPECT_THAT(picks(*policy, FakeFleet(3), 1, 7), ElementsAre(0, 1, 2, 0, 1, 2, 0));
}

TEST(RoundRobinPreset, SharesStayWithinOneWhenRetriesExcludeSome) {
  constexpr uint32_t kEndpoints = 8;
  const auto policy = preset_policy("round-robin", kEndpoints);
  std::vector<int> share(kEndpoints);
  Random random(3);
  for (RequestId request = 1; request <= 8000; ++request) {
    FakeFleet fleet(kEndpoints);
    if (random.below(10) == 0) {  // a retry
      fleet.candidates.erase(fleet.candidates.begin() + random.below(kEndpoints));
    }
    ++share[index_of(fleet.pick(*policy, streamed_request(request)).endpoint)];
    const auto [least, most] = std::minmax_element(share.begin(), share.end());
    ASSERT_LE(*most - *least, 2) << "an excluded endpoint lags by one more at most";
  }
  FakeFleet all(kEndpoints);
  picks(*policy, all, 10'000, kEndpoints);
  EXPECT_THAT(share, Each(::testing::AllOf(::testing::Ge(999), ::testing::Le(1001))));
}

TEST(RoundRobinPreset, AnUnhealthyEndpointSavesUpNoTurns) {
  const auto policy = preset_policy("round-robin", 2);
  FakeFleet fleet(2);
  fleet.snapshot.endpoints[1].healthy = false;
  fleet.candidates = {EndpointId(0)};
  picks(*policy, fleet, 1, 50);
  EXPECT_EQ(picks(*policy, FakeFleet(2), 51, 5).size(), 5u);
  const auto after = picks(*policy, FakeFleet(2), 56, 10);
  EXPECT_EQ(std::count(after.begin(), after.end(), 1u), 5);
}

TEST(RandomPreset, IsEvenAndTheSeedDecides) {
  const FakeFleet fleet(4);
  const auto first = preset_policy("random", 4, {}, 1);
  const auto again = preset_policy("random", 4, {}, 1);
  const auto other = preset_policy("random", 4, {}, 2);
  const auto sequence = picks(*first, fleet, 1, 4000);
  EXPECT_EQ(sequence, picks(*again, fleet, 1, 4000));
  EXPECT_NE(sequence, picks(*other, fleet, 1, 4000));
  for (uint32_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(std::count(sequence.begin(), sequence.end(), i), 1000, 100);
  }
}

TEST(LeastLoadPreset, PrefersTheFewestInFlightAndBreaksTiesInTurn) {
  const auto policy = preset_policy("least-load", 3);
  const FakeFleet fleet(3);
  EXPECT_THAT(picks(*policy, fleet, 1, 4), ElementsAre(0, 1, 2, 0));
  policy->first_token(2, {});  // still in flight
  policy->ended(3, {});
  EXPECT_THAT(picks(*policy, fleet, 5, 3), ElementsAre(2, 1, 2));
}

TEST(LeastLoadPreset, AnIdleFleetIsUsedEvenly) {
  const auto policy = preset_policy("least-load", 3);
  const FakeFleet fleet(3);
  std::vector<uint32_t> order;
  for (RequestId request = 1; request <= 6; ++request) {
    order.push_back(index_of(fleet.pick(*policy, streamed_request(request)).endpoint));
    policy->ended(request, {});
  }
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 0, 1, 2));
}

TEST(LeastLoadPreset, StaysAmongTheCandidates) {
  const auto policy = preset_policy("least-load", 3);
  FakeFleet fleet(3);
  fleet.candidates = {EndpointId(1)};
  EXPECT_THAT(picks(*policy, fleet, 1, 3), ElementsAre(1, 1, 1));
}

}  // namespace
}  // namespace kvasir
