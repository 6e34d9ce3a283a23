#include "config/presets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/preset_fixture.h"
#include "plugins/fleet_fixture.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

PluginOptions options_for(size_t endpoints) {
  PluginOptions options;
  options.endpoints = endpoints;
  options.profile.max_num_batched_tokens = 8192;
  options.profile.step.dense_ms_by_tokens = {{1, 1}, {8192, 8192}};
  return options;
}

TEST(Presets, NamesItsPolicies) {
  EXPECT_THAT(policy_names(), ElementsAre("round-robin", "random", "least-load", "load-cost", "kv",
                                          "dynamo", "lmetric", "llm-d"));
}

TEST(Presets, EveryPolicyServesABurstOverTheWholeFleet) {
  const FakeFleet fleet(4);
  for (const std::string_view name : policy_names()) {
    auto made = make_preset(name, options_for(4));
    ASSERT_TRUE(made.ok()) << name << ": " << made.error().message;
    const std::unique_ptr<Policy>& policy = made->policy;
    std::vector<int> share(4);
    for (RequestId request = 1; request <= 400; ++request) {
      ++share[index_of(fleet.pick(*policy, streamed_request(request)).endpoint)];
    }
    for (RequestId request = 1; request <= 400; ++request) {
      policy->first_token(request, TimePoint(std::chrono::seconds(1)));
      policy->ended(request, TimePoint(std::chrono::seconds(2)));
    }
    for (const int count : share) EXPECT_NEAR(count, 100, name == "random" ? 30 : 1) << name;
  }
}

// A file has a detector of how full endpoints are, which refuses requests of negative priority: it
// must be able to know.
TEST(Presets, OnlyAFileReadsMetricsThatItsPolicyDoesNotNeed) {
  const Registry registry = plugin_registry({}).value();
  CompileOptions options{options_for(1)};
  options.plugins.allow_alpha = true;
  for (const std::string_view name : policy_names()) {
    const auto policy = compile_preset(name, {}, registry, options);
    ASSERT_TRUE(policy.ok()) << policy.error().message;
    EXPECT_EQ(policy->scrape.sources.empty(), name != "llm-d") << name;
    const auto file = compile(preset_text(name), "file.yaml", registry, options);
    ASSERT_TRUE(file.ok()) << file.error().message;
    const bool predicts = name == "kv" || name == "load-cost";
    EXPECT_EQ(file->scrape.sources.empty(), predicts) << name;
  }
}

TEST(Presets, NoPolicyRefusesARequestForItsHeaders) {
  const FakeFleet fleet(2);
  const RequestHeader prefer[] = {{"prefer", "if-available"}};
  for (const std::string_view name : policy_names()) {
    const std::unique_ptr<Policy> policy =
        std::move(make_preset(name, options_for(2)).value().policy);
    Request request = streamed_request(1);
    request.headers = prefer;
    EXPECT_TRUE(policy->pick(PickContext{request, fleet.snapshot, fleet.candidates, {}})) << name;
  }
}

TEST(Presets, AnUnknownPolicyIsRefusedWithTheNamesThereAre) {
  const auto policy = make_preset("rr", options_for(1));
  ASSERT_FALSE(policy.ok());
  EXPECT_EQ(policy.error().message,
            "--policy: unknown policy 'rr'; there are: round-robin random least-load load-cost kv "
            "dynamo lmetric llm-d");
}

TEST(Presets, ACostPolicyNeedsAProfile) {
  PluginOptions options;
  options.endpoints = 1;
  for (const std::string_view name : {"kv", "load-cost"}) {
    const auto policy = make_preset(name, options);
    ASSERT_FALSE(policy.ok());
    EXPECT_THAT(policy.error().message, HasSubstr("max_num_batched_tokens"));
  }
  EXPECT_TRUE(make_preset("round-robin", options).ok());
}

}  // namespace
}  // namespace kvasir
