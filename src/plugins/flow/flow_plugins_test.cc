// The plugins of flow control, with the vectors of endpoint_picker.md §7.3.
#include "scheduling/flow_plugins.h"

#include <cmath>

#include "plugins/plugin_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FlowPluginsTest : public PluginTest {
 protected:
  FlowPluginsTest() : PluginTest(1) { now_ = TimePoint(seconds(100)); }

  template <class Kind>
  Kind& made(const std::string& type, Value value = {}) {
    return dynamic_cast<Kind&>(*make(type, std::move(value)).value());
  }
  double saturation(const Plugin& plugin) {
    return dynamic_cast<const SaturationDetector&>(plugin).saturation(fleet_, candidates_, now_);
  }
};

// What an endpoint reports: its queue, its KV usage, and how old that is.
struct Reported {
  double waiting = 0;
  double kv_usage = 0;
  milliseconds age{0};
};

class UtilizationDetectorTest : public FlowPluginsTest {
 protected:
  void report(const std::vector<Reported>& endpoints) {
    resize(endpoints.size());
    for (size_t i = 0; i < endpoints.size(); ++i) {
      metrics(i).waiting = endpoints[i].waiting;
      metrics(i).kv_usage = endpoints[i].kv_usage;
      metrics(i).read_at = now_ - endpoints[i].age;
    }
  }
  static Value vector_parameters(double headroom = 0) {
    return parameters({{"queueDepthThreshold", 5},
                       {"kvCacheUtilThreshold", .9},
                       {"metricsStalenessThreshold", "100ms"},
                       {"headroom", headroom}});
  }
};

TEST_F(UtilizationDetectorTest, SaturationIsTheMeanOfTheLargerShares) {
  const struct {
    std::vector<Reported> endpoints;
    double expected;
  } cases[] = {
      {{{2, .5}}, .5 / .9},
      {{{10, .1}}, 2.0},
      {{{1, .95}}, .95 / .9},
      {{{0, 0, milliseconds(101)}}, 1},
      {{{1, 0}, {0, 0, milliseconds(150)}}, .6},
      {{{1, 0}, {15, 0}}, 1.6},
      {{{5, 0}, {20, 0}, {5.5, 0}}, (1 + 4 + 1.1) / 3},
      {{}, 1},
      {{{5, 0}}, 1},
      {{{0, .9}}, 1},
      {{{0, 0, milliseconds(100)}}, 0},  // as old as it may be
  };
  const Plugin& detector = made<Plugin>("utilization-detector", vector_parameters());
  for (const auto& [endpoints, expected] : cases) {
    report(endpoints);
    EXPECT_NEAR(saturation(detector), expected, 1e-9) << endpoints.size();
  }
}

TEST_F(UtilizationDetectorTest, AnEndpointThatReportedNothingIsSaturated) {
  const Plugin& detector = made<Plugin>("utilization-detector");
  EXPECT_DOUBLE_EQ(saturation(detector), 1);
  metrics(0).read_at = now_;
  EXPECT_DOUBLE_EQ(saturation(detector), 1);
  metrics(0).waiting = 0;
  EXPECT_DOUBLE_EQ(saturation(detector), 0);
}

TEST_F(UtilizationDetectorTest, StaleEndpointsAreCounted) {
  report({{0, 0}, {0, 0, milliseconds(500)}, {0, 0, milliseconds(201)}});
  const auto& detector = made<SaturationDetector>("utilization-detector");
  EXPECT_EQ(detector.stale_endpoints(fleet_, candidates_, now_), 2u);
}

TEST_F(UtilizationDetectorTest, AsAFilterItKeepsFreshEndpointsBelowTheThresholds) {
  report({{4, .5}, {5, .1}, {0, .9}, {0, 0, milliseconds(101)}});
  EXPECT_THAT(kept("utilization-detector", vector_parameters()), ElementsAre(0));
  report({{5, .5}, {6, 0}});
  EXPECT_THAT(kept("utilization-detector", vector_parameters(.1)), ElementsAre(0));
}

TEST_F(UtilizationDetectorTest, AsAFilterItKeepsAllWhenAllAreSaturated) {
  report({{9, .5}, {0, 0, milliseconds(101)}});
  EXPECT_THAT(kept("utilization-detector", vector_parameters()), ElementsAre(0, 1));
}

class ConcurrencyDetectorTest : public FlowPluginsTest {
 protected:
  void load(const std::vector<InflightLoad>& loads) {
    resize(loads.size());
    data_.loads = loads;
  }
};

TEST_F(ConcurrencyDetectorTest, SaturationIsTheShareOfTheCapacityInFlight) {
  const struct {
    const char* mode;
    std::vector<InflightLoad> loads;
    double expected;
  } cases[] = {
      {"requests", {}, 1},
      {"requests", {{0, 0}, {0, 0}}, 0},
      {"requests", {{10, 0}, {0, 0}}, .5},
      {"requests", {{10, 0}, {10, 0}}, 1},
      {"requests", {{10, 0}, {20, 0}}, 1.5},
      {"tokens", {{0, 50}, {0, 100}}, .75},
      {"hybrid", {{2, 80}}, .8},
      {"hybrid", {{9, 10}}, .9},
      {"hybrid", {{2, 80}, {9, 10}}, .85},
  };
  for (const auto& [mode, loads, expected] : cases) {
    load(loads);
    const Plugin& detector = made<Plugin>(
        "concurrency-detector",
        parameters(
            {{"concurrencyMode", mode}, {"maxConcurrency", 10}, {"maxTokenConcurrency", 100}}));
    EXPECT_NEAR(saturation(detector), expected, 1e-9) << mode << " " << loads.size();
  }
}

TEST_F(ConcurrencyDetectorTest, AsAFilterItDropsEndpointsAtTheLimit) {
  load({{9, 0}, {10, 0}, {11, 0}});
  EXPECT_THAT(kept("concurrency-detector", parameters({{"maxConcurrency", 10}})), ElementsAre(0));
  EXPECT_THAT(kept("concurrency-detector", parameters({{"maxConcurrency", 10}, {"headroom", .1}})),
              ElementsAre(0, 1));
  load({{10, 0}});
  EXPECT_THAT(kept("concurrency-detector", parameters({{"maxConcurrency", 10}})), IsEmpty());
}

class FairnessTest : public FlowPluginsTest {
 protected:
  // The tenants' heads: id, how long ago they came, and the rank.
  struct Head {
    std::string_view id;
    int64_t waited_s;
    int64_t rank;
  };
  std::string next(FairnessPolicy& policy, const std::vector<Head>& heads, int32_t priority = 0) {
    std::vector<FlowHead> flows;
    for (const Head& head : heads) {
      const auto sequence = static_cast<uint64_t>(1000 - head.waited_s);
      flows.push_back({head.id, now_ - seconds(head.waited_s), Duration(head.rank), sequence});
    }
    return std::string(flows[policy.next(priority, flows, now_)].fairness_id);
  }
};

TEST_F(FairnessTest, GlobalStrictTakesTheFirstByTheBandsOrderWhoeverSentIt) {
  auto& policy = made<FairnessPolicy>("global-strict-fairness-policy");
  EXPECT_EQ(next(policy, {{"a", 1, 30}, {"b", 2, 10}, {"c", 9, 20}}), "b");
  EXPECT_EQ(next(policy, {{"a", 1, 10}, {"b", 2, 10}}), "b");  // equal ranks: who came first
}

TEST_F(FairnessTest, RoundRobinGivesEachTenantItsTurnInEachBand) {
  auto& policy = made<FairnessPolicy>("round-robin-fairness-policy");
  const std::vector<Head> all = {{"a", 1, 0}, {"b", 1, 0}, {"c", 1, 0}};
  std::string order;
  for (int i = 0; i < 4; ++i) order += next(policy, all);
  EXPECT_EQ(order, "abca");
  EXPECT_EQ(next(policy, all, -1), "a");
  EXPECT_EQ(next(policy, {{"a", 1, 0}, {"c", 1, 0}}), "c");
}

TEST_F(FairnessTest, ProgramAwareTakesWhoGotLeast) {
  auto& policy = made<FairnessPolicy>("program-aware-fairness");
  policy.served("a", 100, 50, now_);  // 200
  policy.served("b", 100, 49, now_);  // 198
  EXPECT_EQ(next(policy, {{"a", 1, 0}, {"b", 1, 0}}), "b");
  policy.served("b", 0, 2, now_);  // 202
  EXPECT_EQ(next(policy, {{"a", 1, 0}, {"b", 1, 0}}), "a");
}

TEST_F(FairnessTest, ProgramAwareWeighsTheWaitAgainstTheService) {
  auto& policy = made<FairnessPolicy>("program-aware-fairness");
  policy.served("a", 100, 0, now_);
  policy.served("b", 80, 0, now_);
  // b: .8 x .2 + .2 x wait of b / wait of a, against a: .2.
  EXPECT_EQ(next(policy, {{"a", 100, 0}, {"b", 21, 0}}), "b");
  EXPECT_EQ(next(policy, {{"a", 100, 0}, {"b", 19, 0}}), "a");
}

TEST_F(FairnessTest, ProgramAwareHalvesServiceEveryMinute) {
  auto& policy = made<FairnessPolicy>("program-aware-fairness");
  policy.served("a", 100, 0, now_);
  now_ += seconds(60);
  policy.served("b", 51, 0, now_);
  EXPECT_EQ(next(policy, {{"a", 1, 0}, {"b", 1, 0}}), "a");
}

TEST_F(FairnessTest, ProgramAwareTellsWhatEachTenantGotAndWaited) {
  auto& policy = made<FairnessPolicy>("program-aware-fairness");
  policy.dispatched("a", seconds(1), now_);
  policy.dispatched("a", seconds(3), now_);
  policy.served("a", 100, 10, now_);
  policy.served("b", 7, 0, now_);
  now_ += seconds(60);
  const auto tenants = policy.tenants(now_);
  ASSERT_TRUE(tenants);
  ASSERT_EQ(tenants->size(), 2u);
  EXPECT_EQ((*tenants)[0].fairness_id, "a");
  EXPECT_DOUBLE_EQ((*tenants)[0].tokens, 60);  // half of 100 + 2 x 10
  EXPECT_EQ((*tenants)[0].dispatched, 2u);
  EXPECT_EQ((*tenants)[0].mean_wait, seconds(2));
  EXPECT_EQ((*tenants)[1].dispatched, 0u);
}

TEST_F(FairnessTest, ProgramAwareWeighsAsItIsTold) {
  auto& policy = made<FairnessPolicy>(
      "program-aware-fairness",
      parameters({{"strategy", "las"}, {"lasWeightService", 0}, {"lasWeightHeadWait", 1}}));
  policy.served("a", 1000, 0, now_);
  EXPECT_EQ(next(policy, {{"a", 2, 0}, {"b", 1, 0}}), "a");  // only the wait counts
}

TEST_F(FairnessTest, ProgramAwareServiceDecaysAsItIsTold) {
  auto& policy = made<FairnessPolicy>("program-aware-fairness",
                                      parameters({{"lasHalfLifeSeconds", 120}}));
  policy.served("a", 100, 0, now_);
  now_ += seconds(120);
  policy.served("b", 51, 0, now_);
  EXPECT_EQ(next(policy, {{"a", 1, 0}, {"b", 1, 0}}), "a");  // 50 are left
}

TEST_F(FairnessTest, ProgramAwareServiceMayStayForGood) {
  auto& policy = made<FairnessPolicy>("program-aware-fairness",
                                      parameters({{"lasHalfLifeSeconds", 0}}));
  policy.served("a", 100, 0, now_);
  now_ += seconds(3000);
  policy.served("b", 99, 0, now_);
  EXPECT_EQ(next(policy, {{"a", 1, 0}, {"b", 1, 0}}), "b");
}

TEST_F(FairnessTest, ProgramAwareForgetsWhoWasIdleForTooLong) {
  auto& policy = made<FairnessPolicy>(
      "program-aware-fairness", parameters({{"lasHalfLifeSeconds", 0}, {"evictionTtlSeconds", 30}}));
  policy.served("a", 100, 0, now_);
  now_ += seconds(31);
  policy.served("b", 1, 0, now_);
  EXPECT_EQ(next(policy, {{"a", 1, 0}, {"b", 1, 0}}), "a");
}

class OrderingTest : public FlowPluginsTest {
 protected:
  Duration rank(const std::string& type, int64_t received_s, int64_t deadline_s) {
    const HeldRequest held{request_, TimePoint(seconds(received_s)),
                           TimePoint(seconds(deadline_s))};
    return made<OrderingPolicy>(type).rank(held);
  }
};

TEST_F(OrderingTest, RanksAreArrivalDeadlineOrSlo) {
  EXPECT_LT(rank("fcfs-ordering-policy", 1, 9), rank("fcfs-ordering-policy", 2, 8));
  EXPECT_GT(rank("edf-ordering-policy", 1, 9), rank("edf-ordering-policy", 2, 8));
  header("x-slo-ttft-ms", "1500");
  EXPECT_EQ(rank("slo-deadline-ordering-policy", 1, 9), milliseconds(2500));
  header("x-llm-d-slo-ttft-ms", " 500 ");
  EXPECT_EQ(rank("slo-deadline-ordering-policy", 1, 9), milliseconds(1500));
}

TEST_F(OrderingTest, WithoutAnSloOrWithNonsenseForOneARequestGoesLast) {
  for (const char* nonsense : {"", "soon", "-5", "nan", "inf", "1e300", "5ms"}) {
    headers_.clear();
    if (*nonsense != '\0') header("x-llm-d-slo-ttft-ms", nonsense);
    EXPECT_EQ(rank("slo-deadline-ordering-policy", 1, 9), Duration::max()) << nonsense;
  }
}

TEST_F(FlowPluginsTest, CeilingsFollowTheBands) {
  const std::vector<int32_t> bands = {100, 10, 0, -10};
  auto ceilings = [&](const std::string& type, Value value) {
    const auto& policy = made<UsageLimitPolicy>(type, std::move(value));
    std::vector<double> result;
    for (const int32_t band : bands)
      result.push_back(std::round(1e6 * policy.ceiling(band, bands)) / 1e6);
    return result;
  };
  EXPECT_THAT(ceilings("static-usage-limit-policy", {}), ElementsAre(1, 1, 1, 1));
  EXPECT_THAT(ceilings("static-usage-limit-policy", parameters({{"threshold", .8}})),
              ElementsAre(.8, .8, .8, .8));
  EXPECT_THAT(ceilings("priority-holdback-policy", parameters({{"minCeiling", .4}})),
              ElementsAre(1, .8, .6, .4));
  EXPECT_THAT(ceilings("priority-holdback-policy",
                       parameters({{"minCeiling", 0}, {"maxCeiling", 1.1}, {"domain", "value"}})),
              ElementsAre(1.1, .2, .1, 0));
  const auto& holdback =
      made<UsageLimitPolicy>("priority-holdback-policy", parameters({{"minCeiling", .4}}));
  EXPECT_DOUBLE_EQ(holdback.ceiling(0, std::vector<int32_t>{0}), 1);
}

// Which of twelve chances to send each of three bands gets at a saturation.
TEST_F(FlowPluginsTest, ASoftCeilingLetsLowBandsSendNowAndThen) {
  const std::vector<int32_t> bands = {10, 0, -10};
  const auto chances = [&](double saturation) {
    auto& policy = made<UsageLimitPolicy>("soft-reflective-ceiling-policy");
    std::vector<int> open(bands.size());
    for (int i = 0; i < 12; ++i) {
      policy.next_chance(saturation, bands);
      for (size_t band = 0; band < bands.size(); ++band)
        open[band] += policy.ceiling(bands[band], bands) > saturation ? 1 : 0;
    }
    return open;
  };
  EXPECT_THAT(chances(.4), ElementsAre(12, 12, 12));
  EXPECT_THAT(chances(.5), ElementsAre(12, 12, 12));   // one of every one
  EXPECT_THAT(chances(.65), ElementsAre(12, 12, 6));   // the middle one reflects at .675
  EXPECT_THAT(chances(.7), ElementsAre(12, 6, 6));     // one of round(2.3)
  EXPECT_THAT(chances(.8), ElementsAre(12, 3, 3));
  EXPECT_THAT(chances(1), ElementsAre(0, 0, 0));
}

TEST_F(FlowPluginsTest, OnlySheddableRequestsAreEvictedTheLowestAndYoungestFirst) {
  const auto& filter = made<EvictionFilter>("sheddable-eviction-filter");
  EXPECT_TRUE(filter.may_evict({-1, now_, 1}));
  EXPECT_FALSE(filter.may_evict({0, now_, 1}));
  const auto& order = made<EvictionOrder>("priority-then-time-eviction-order-policy");
  const InFlightRequest old_low{-2, now_, 1}, old_high{-1, now_, 2},
      young_high{-1, now_ + seconds(1), 3};
  EXPECT_TRUE(order.before(old_low, young_high));
  EXPECT_TRUE(order.before(young_high, old_high));
  EXPECT_FALSE(order.before(old_high, young_high));
}

TEST_F(FlowPluginsTest, TheProbabilisticAdmitterRefusesMoreOftenTheFullerThePool) {
  const struct {
    double saturation;
    double refused;  // endpoint_picker.md §6
  } cases[] = {{.15, .023}, {.2, .096}, {.3, .73}, {.34, 1}, {0, 0}};
  for (const auto& [saturation, refused] : cases) {
    auto& admitter = made<Admitter>("probabilistic-admitter");
    metrics(0).waiting = 5 * saturation;
    metrics(0).kv_usage = 0;
    request_.priority = -1;
    constexpr int kDraws = 20000;
    int count = 0;
    for (int i = 0; i < kDraws; ++i) count += admitter.admits(cycle()) ? 0 : 1;
    EXPECT_NEAR(count / double{kDraws}, refused, .01) << saturation;
    request_.priority = 0;
    EXPECT_TRUE(admitter.admits(cycle()));
  }
}

TEST_F(FlowPluginsTest, TheProbabilisticAdmitterTakesSilenceForSaturationAndAnEmptyPoolForNone) {
  auto& admitter = made<Admitter>("probabilistic-admitter");
  request_.priority = -1;
  EXPECT_FALSE(admitter.admits(cycle()));
  candidates_.clear();
  EXPECT_TRUE(admitter.admits(cycle()));
}

TEST_F(FlowPluginsTest, WrongParametersAreRefused) {
  const struct {
    const char* type;
    Value value;
    const char* message;
  } cases[] = {
      {"utilization-detector", parameters({{"queueDepthThreshold", 0}}), "queueDepthThreshold"},
      {"utilization-detector", parameters({{"kvCacheUtilThreshold", 1.5}}), "kvCacheUtilThreshold"},
      {"concurrency-detector", parameters({{"concurrencyMode", "both"}}), "concurrencyMode"},
      {"concurrency-detector", parameters({{"maxConcurrency", 0}}), "maxConcurrency"},
      {"priority-holdback-policy", {}, "minCeiling is missing"},
      {"priority-holdback-policy", parameters({{"minCeiling", 2}}), "must not exceed maxCeiling"},
      {"priority-holdback-policy", parameters({{"minCeiling", 0}, {"shape", "cubic"}}), "shape"},
      {"static-usage-limit-policy", parameters({{"x", 1}}), "unknown parameter 'x'"},
      {"soft-reflective-ceiling-policy", parameters({{"x", 1}}), "unknown parameter 'x'"},
      {"program-aware-fairness", parameters({{"strategy", "drr"}}), "strategy is 'drr'"},
      {"program-aware-fairness", parameters({{"evictionSweepSeconds", 0}}), "evictionSweepSeconds"},
      {"program-aware-fairness", parameters({{"lasWeightService", -1}}), "lasWeightService"},
      {"latency-slo-admitter", {}, "needs a trained latency model"},
  };
  for (const auto& [type, value, message] : cases)
    EXPECT_THAT(error_of(type, value), HasSubstr(message));
}

class ConfiguredFlow : public PluginTest {
 protected:
  // The scheduling and the flow control of a configuration with these plugins.
  Checked<PolicyWithNotes> configured_flow(std::vector<PluginConfig> plugins,
                                           const FlowControlConfig& flow, bool enabled = true) {
    SchedulingConfig config{std::move(plugins), {}, flow, enabled};
    return make_configured_policy(registry_, config, options_);
  }
  PoolSaturation saturation(Policy& policy) {
    return policy.saturation(PoolContext{fleet_, candidates_, now_});
  }
};

TEST_F(ConfiguredFlow, PoliciesAreFoundByNameAndMadeByType) {
  FlowControlConfig flow;
  flow.bands.push_back({10, 1, 1, "turns", "edf-ordering-policy", 3});
  flow.usage_limit_policy = "limit";
  flow.eviction = true;
  const auto made = configured_flow(
      {{"turns", "round-robin-fairness-policy"}, {"limit", "static-usage-limit-policy"}}, flow);
  ASSERT_TRUE(made.ok()) << made.error().message;
  const FlowPlugins& plugins = made->flow.plugins;
  EXPECT_TRUE(plugins.fairness.contains("turns"));
  EXPECT_TRUE(plugins.fairness.contains("global-strict-fairness-policy"));
  EXPECT_TRUE(plugins.ordering.contains("edf-ordering-policy"));
  EXPECT_NE(plugins.usage_limit, nullptr);
  EXPECT_NE(plugins.eviction_filter, nullptr);
  EXPECT_NE(plugins.eviction_order, nullptr);
  EXPECT_EQ(plugins.settling_time, milliseconds(500));  // refresh 50, staleness 200, slack 250
}

TEST_F(ConfiguredFlow, ErrorsNameWhatIsMissingOrOfAnotherKind) {
  FlowControlConfig flow;
  flow.line = 4;
  flow.saturation_detector = "nobody";
  EXPECT_EQ(configured_flow({}, flow).error().message,
            "line 4: flowControl: no plugin is named 'nobody'");
  flow.saturation_detector = "queue-scorer";
  EXPECT_EQ(configured_flow({{"", "queue-scorer"}}, flow, false).error().message,
            "line 4: flowControl: 'queue-scorer' is not a saturation detector");
  flow = {};
  flow.eviction = true;
  // Named by the user an experimental policy needs leave; for enableEviction nobody names one.
  options_.allow_alpha = false;
  EXPECT_TRUE(configured_flow({}, flow));
  EXPECT_THAT(configured_flow({{"", "sheddable-eviction-filter"}}, flow).error().message,
              HasSubstr("experimental: allow it with --allow-experimental-plugins"));
}

TEST_F(ConfiguredFlow, TheStageThatIsFullestCounts) {
  FlowControlConfig flow;
  flow.saturation_detector = "concurrency-detector";
  const auto made = configured_flow({{"fake-loads", "fake-loads"}}, flow, false);
  ASSERT_TRUE(made.ok()) << made.error().message;
  data_.loads = {{50, 0}, {100, 0}, {0, 0}};
  EXPECT_DOUBLE_EQ(saturation(*made->policy).decode, .5);  // no labels: all decode
  EXPECT_DOUBLE_EQ(saturation(*made->policy).prefill, 0);
  label(0, "llm-d.ai/role", "prefill");
  label(1, "llm-d.ai/role", "encode-prefill-decode");
  label(2, "llm-d.ai/role", "decode");
  EXPECT_DOUBLE_EQ(saturation(*made->policy).prefill, .75);
  EXPECT_DOUBLE_EQ(saturation(*made->policy).decode, .5);
  label(2, "llm-d.ai/role", "encode");
  EXPECT_DOUBLE_EQ(saturation(*made->policy).decode, 1);
}

TEST_F(ConfiguredFlow, AnAdmitterRefusesBeforeAnythingIsScheduled) {
  const auto made = policy({{"", "probabilistic-admitter"}});
  request_.priority = -1;
  EXPECT_FALSE(pick(*made));
  EXPECT_EQ(made->refusal(), Refusal::kNotAdmitted);
  request_.priority = 0;
  EXPECT_TRUE(pick(*made));
}

}  // namespace
}  // namespace kvasir
