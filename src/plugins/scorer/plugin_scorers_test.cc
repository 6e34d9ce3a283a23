// The scorers against upstream's own vectors.
#include "plugins/plugin_fixture.h"

namespace kvasir {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pointwise;

MATCHER(Near, "") {
  return std::abs(std::get<0>(arg) - std::get<1>(arg)) < 1e-9;
}

class Scorers : public PluginTest {};

TEST_F(Scorers, QueueAndRunningSpreadBetweenLeastAndMost) {
  for (const auto& [counts, wanted] :
       std::vector<std::pair<std::vector<double>, std::vector<double>>>{
           {{10, 5, 0}, {0, .5, 1}}, {{5, 5, 5}, {1, 1, 1}}, {{0, 0, 0}, {1, 1, 1}}}) {
    for (size_t i = 0; i < 3; ++i) metrics(i).waiting = metrics(i).running = counts[i];
    EXPECT_THAT(scores("queue-scorer"), Pointwise(Near(), wanted));
    EXPECT_THAT(scores("running-requests-size-scorer"), Pointwise(Near(), wanted));
  }
}

TEST_F(Scorers, AQueueThatIsNotReportedCountsAsEmpty) {
  metrics(0).waiting = 4;
  EXPECT_THAT(scores("queue-scorer"), ElementsAre(0, 1, 1));
}

TEST_F(Scorers, KvCacheUtilizationIsWhatIsFree) {
  metrics(0).kv_usage = .8;
  metrics(1).kv_usage = .5;
  metrics(2).kv_usage = 0;
  EXPECT_THAT(scores("kv-cache-utilization-scorer"),
              Pointwise(Near(), std::vector<double>{.2, .5, 1.}));
}

TEST_F(Scorers, LoadAwareFallsToZeroAtTheThreshold) {
  metrics(0).waiting = 2;
  metrics(1).waiting = 0;
  metrics(2).waiting = 15;
  EXPECT_THAT(scores("load-aware-scorer", parameters({{"threshold", 10}})),
              Pointwise(Near(), std::vector<double>{.4, .5, 0.}));
}

TEST_F(Scorers, ActiveRequestCountsWhatIsInFlight) {
  for (const auto& [counts, wanted] :
       std::vector<std::pair<std::vector<uint32_t>, std::vector<double>>>{
           {{3, 0, 6}, {.5, 1, 0}}, {{4, 0, 1}, {0, 1, .75}}, {{0, 0, 0}, {1, 1, 1}}}) {
    for (size_t i = 0; i < 3; ++i) data_.loads[i].requests = counts[i];
    EXPECT_THAT(scores("active-request-scorer"), Pointwise(Near(), wanted));
  }
  data_.loads[0].requests = 4;
  data_.loads[1].requests = 8;
  data_.loads[2].requests = 2;
  EXPECT_THAT(
      scores("active-request-scorer",
             parameters({{"idleThreshold", 2}, {"maxBusyScore", .5}, {"requestTimeout", "2m"}})),
      Pointwise(Near(), std::vector<double>{.25, 0., 1.}));
}

TEST_F(Scorers, TokenLoadAddsWhatOfTheRequestIsNotCached) {
  const Value threshold = parameters({{"queueThresholdTokens", 1000}});
  for (size_t i = 0; i < 3; ++i) data_.loads[i].tokens = i * 500;
  EXPECT_THAT(scores("token-load-scorer", threshold),
              Pointwise(Near(), std::vector<double>{1, .5, 0.}));

  request_.prompt_tokens = 500;
  data_.block_tokens = 250;
  data_.matched = {1, 1, 1};
  data_.total_blocks = 2;
  for (const auto& [tokens, wanted] :
       std::vector<std::pair<uint64_t, double>>{{0, .75}, {250, .5}, {750, 0}}) {
    data_.loads[0].tokens = tokens;
    EXPECT_NEAR(scores("token-load-scorer", threshold)[0], wanted, 1e-9);
  }
}

TEST_F(Scorers, LoraAffinityHasFourTiers) {
  resize(5);
  request_.model = "adapter";
  details(0).running_adapters = {"adapter"};
  details(0).adapters_max = 5;
  details(1).adapters_max = 2;
  details(2).running_adapters = {"x"};
  details(2).adapters_max = 2;
  details(3).running_adapters = {"x", "y"};
  details(3).waiting_adapters = {"adapter"};
  details(3).adapters_max = 2;
  details(4).running_adapters = {"x", "y"};
  details(4).adapters_max = 2;
  EXPECT_THAT(scores("lora-affinity-scorer"), ElementsAre(1, .8, .8, .6, 0));
  details(1).adapters_max = 0;
  EXPECT_EQ(scores("lora-affinity-scorer")[1], 0) << "nothing is known of it";
}

TEST_F(Scorers, PrefixCacheWeighsShareAndLength) {
  data_.matched = {5, 0, 10};
  data_.total_blocks = 10;
  EXPECT_THAT(scores("prefix-cache-scorer"), ElementsAre(.5, 0, 1));
  const Value half = parameters({{"matchLengthWeight", .5}, {"matchLengthScaleTokens", 100}});
  EXPECT_NEAR(scores("prefix-cache-scorer", half)[0], .25125, 1e-9);
  data_.matched = {50, 0, 0};
  data_.total_blocks = 100;
  EXPECT_NEAR(scores("prefix-cache-scorer", half)[0], .375, 1e-9);
  data_.total_blocks = 0;
  EXPECT_THAT(scores("prefix-cache-scorer", half), ElementsAre(0, 0, 0)) << "nothing is known";
}

// As of samples that are older than the producer.
TEST_F(Scorers, PrefixCacheSaysWhereTheParametersOfItsProducerBelongNow) {
  for (const char* key :
       {"hashBlockSize", "blockSize", "blockSizeTokens", "autoTune", "maxPrefixBlocksToMatch",
        "maxPrefixTokensToMatch", "lruCapacityPerServer"}) {
    const std::string problem = error_of("prefix-cache-scorer", parameters({{key, 5}}));
    EXPECT_THAT(problem, HasSubstr(std::string("unknown parameter '") + key + "'; it is ")) << key;
    EXPECT_THAT(problem, HasSubstr("approx-prefix-cache-producer now")) << key;
  }
  EXPECT_THAT(error_of("prefix-cache-scorer", parameters({{"hashBlockSize", 5}})),
              HasSubstr("blockSizeTokens of approx-prefix-cache-producer"));
  EXPECT_THAT(error_of("prefix-cache-scorer", parameters({{"blockSiz", 5}})),
              HasSubstr("unknown parameter 'blockSiz'"));
}

TEST_F(Scorers, NoHitLruSpreadsColdRequests) {
  Plugin* plugin = make("no-hit-lru-scorer").value();
  EXPECT_THAT(scores_of(plugin), ElementsAre(1, .5, 0));
  data_.matched = {0, 1, 0};
  EXPECT_THAT(scores_of(plugin), ElementsAre(.5, .5, .5));

  const std::vector<ScoredEndpoint> scored = {
      {EndpointId(0), 1}, {EndpointId(1), 0}, {EndpointId(2), 0}};
  const std::span<const ScoredEndpoint> all(scored);
  const std::vector<ProfileResult> to_a = {{0, all.first(1), all}};
  plugin->picked(cycle(), to_a);
  data_.matched = {0, 0, 0};
  EXPECT_THAT(scores_of(plugin), ElementsAre(1, .5, 0)) << "a warm request changes no order";
  plugin->picked(cycle(), to_a);
  EXPECT_THAT(scores_of(plugin), ElementsAre(0, 1, .5));

  candidates_.resize(1);
  EXPECT_THAT(scores_of(plugin), ElementsAre(1));
}

TEST_F(Scorers, ContextLengthPrefersTheNarrowestRange) {
  const std::string kLabel = "llm-d.ai/context-length-range";
  resize(5);
  label(0, kLabel, "0-10000");
  label(1, kLabel, "1000-1000");
  label(2, kLabel, "2000-4000");
  label(3, kLabel, "4000-2000");
  request_.prompt_tokens = 1000;
  const double in_range = .3 + .7 * (.7 / 2 + .3 * .9);
  EXPECT_THAT(scores("context-length-aware"),
              Pointwise(Near(), std::vector<double>{in_range, 1., .3 / 2, 0., .5}));
  EXPECT_THAT(kept("context-length-aware"), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(kept("context-length-aware", parameters({{"enableFiltering", true}})),
              ElementsAre(0, 1, 4));
}

TEST_F(Scorers, SessionIdIsBoundToWhereItsLastRequestWent) {
  header("x-user", "ann");
  const Value by_session = parameters({{"strategy", "session_id"},
                                       {"sources", list({parameters({{"header", "X-User"}})})},
                                       {"evictionTtlSeconds", 60}});
  const auto made = policy({{"", "session-affinity-scorer", by_session}});
  EXPECT_EQ(index_of(pick(*made)->endpoint), 0u) << "nobody yet: ties in turn";
  for (int i = 0; i < 4; ++i) {
    const auto decision = pick(*made);
    EXPECT_EQ(index_of(decision->endpoint), 0u);
    EXPECT_EQ(decision->score, 1);
  }
  now_ += std::chrono::seconds(61);
  EXPECT_EQ(pick(*made)->score, 0) << "forgotten: it abstains";
}

TEST_F(Scorers, EncodedEndpointHeaderNamesTheEndpoint) {
  header("x-session-token", "ZGVmYXVsdC9i");  // default/b
  EXPECT_THAT(scores("session-affinity-scorer"), ElementsAre(0, 1, 0));
  EXPECT_THAT(kept("session-affinity-filter"), ElementsAre(1));
  headers_.clear();
  header("x-session-token", "c29tZWJvZHkgZWxzZQ==");
  EXPECT_THAT(kept("session-affinity-filter"), ElementsAre(0, 1, 2));
  EXPECT_THAT(scores("session-affinity-scorer"), ::testing::Each(::testing::IsNan()));
}

TEST_F(Scorers, EndpointAttributeIsScaledBetweenFixedOrSeenLimits) {
  details(0).attributes["heat"] = 10;
  details(1).attributes["heat"] = 30;
  const auto with = [](const char* type, std::vector<std::pair<std::string, Item>> range) {
    return parameters(
        {{"attributeKey", "heat"},
         {"algorithm",
          parameters({{"type", type}, {"normalization", parameters(std::move(range))}})}});
  };
  EXPECT_THAT(scores("endpoint-attribute-scorer", with("linear_lower_is_better", {})),
              ElementsAre(1, 0, 0));
  EXPECT_THAT(scores("endpoint-attribute-scorer",
                     with("linear_higher_is_better",
                          {{"fixedRange", parameters({{"min", 0}, {"max", 20}})}})),
              ElementsAre(.5, 1, 0));
  EXPECT_THAT(error_of("endpoint-attribute-scorer",
                       with("linear_higher_is_better",
                            {{"fixedRange", parameters({{"min", 2}, {"max", 2}})}})),
              HasSubstr("min must be less than max"));
}

TEST_F(Scorers, HeaderLabelAffinityComparesThem) {
  label(1, "tier", "gold");
  label(2, "tier", "iron");
  const Value both = parameters({{"headerName", "X-Tier"}, {"labelKey", "tier"}});
  EXPECT_THAT(scores("header-label-affinity-scorer", both), ElementsAre(0, 0, 0));
  header("x-tier", "gold");
  EXPECT_THAT(scores("header-label-affinity-scorer", both), ElementsAre(0, 1, 0));
}

TEST_F(Scorers, TopologyAffinityIsToTheEndpointChosenBefore) {
  resize(5);
  const char* kZone = "topology.kubernetes.io/zone";
  const char* kRack = "topology.kubernetes.io/rack";
  label(0, "kubernetes.io/hostname", "h");
  label(0, kRack, "r");
  label(0, kZone, "z");
  label(0, "topology.kubernetes.io/region", "e");
  label(1, kRack, "r");
  label(2, kZone, "z");
  label(3, "topology.kubernetes.io/region", "e");
  EXPECT_THAT(scores("topology-affinity-scorer"), ElementsAre(0, 0, 0, 0, 0));
  const std::vector<ScoredEndpoint> chosen = {{EndpointId(0), 1}};
  done_ = {{0, chosen, chosen}};
  EXPECT_THAT(scores("topology-affinity-scorer"), ElementsAre(1, .2, .05, .02, 0));
  EXPECT_THAT(kept("topology-affinity-filter"), ElementsAre(0));
  EXPECT_THAT(kept("topology-affinity-filter", parameters({{"minAffinity", "zone"}})),
              ElementsAre(0, 1, 2));
  candidates_.erase(candidates_.begin());
  EXPECT_THAT(kept("topology-affinity-filter"), ElementsAre(1, 2, 3, 4)) << "nobody is near";
}

TEST_F(Scorers, TheSeedsScorers) {
  metrics(0).waiting = 5;
  metrics(0).gpu_utilization = .5;
  metrics(1).waiting = 20;
  metrics(1).gpu_utilization = 1;
  EXPECT_THAT(scores("seed-load-aware-scorer"), Pointwise(Near(), std::vector<double>{.5, 0., 1.}));
  data_.matched = {8, 4, 0};
  data_.total_blocks = 10;
  details(0).attributes["latency-p99-ms"] = 250;
  EXPECT_THAT(scores("seed-composite-scorer"),
              Pointwise(Near(), std::vector<double>{.5 * .8 + .3 * .5 + .2 * .5, 0., .3}));
}

}  // namespace
}  // namespace kvasir
