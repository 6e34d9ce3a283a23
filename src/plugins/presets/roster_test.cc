#include "plugins/presets/roster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plugins/fleet_fixture.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

PolicyOptions options_for(size_t endpoints) {
  PolicyOptions options;
  options.endpoints = endpoints;
  options.profile.max_num_batched_tokens = 8192;
  options.profile.step.dense_ms_by_tokens = {{1, 1}, {8192, 8192}};
  return options;
}

TEST(Roster, NamesItsPolicies) {
  EXPECT_THAT(policy_names(),
              ElementsAre("round-robin", "random", "least-load", "load-cost", "kv"));
}

TEST(Roster, EveryPolicyServesABurstOverTheWholeFleet) {
  const FakeFleet fleet(4);
  for (const std::string_view name : policy_names()) {
    auto policy = make_policy(name, options_for(4));
    ASSERT_TRUE(policy.ok()) << name;
    std::vector<int> share(4);
    for (RequestId request = 1; request <= 400; ++request) {
      ++share[index_of(fleet.pick(**policy, streamed_request(request)).endpoint)];
    }
    for (RequestId request = 1; request <= 400; ++request) {
      (*policy)->first_token(request, TimePoint(std::chrono::seconds(1)));
      (*policy)->ended(request, TimePoint(std::chrono::seconds(2)));
    }
    for (const int count : share) EXPECT_NEAR(count, 100, name == "random" ? 30 : 1) << name;
  }
}

TEST(Roster, AnUnknownPolicyIsRefusedWithTheNamesThereAre) {
  const auto policy = make_policy("rr", options_for(1));
  ASSERT_FALSE(policy.ok());
  EXPECT_EQ(policy.error().message,
            "unknown policy 'rr'; there are: round-robin random least-load load-cost kv");
}

TEST(Roster, ACostPolicyNeedsAProfile) {
  PolicyOptions options;
  options.endpoints = 1;
  for (const std::string_view name : {"kv", "load-cost"}) {
    const auto policy = make_policy(name, options);
    ASSERT_FALSE(policy.ok());
    EXPECT_THAT(policy.error().message, HasSubstr("max_num_batched_tokens"));
  }
  EXPECT_TRUE(make_policy("round-robin", options).ok());
}

}  // namespace
}  // namespace kvasir
