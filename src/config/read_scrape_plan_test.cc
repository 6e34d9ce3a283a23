#include "config/read_scrape_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/plugin_types.h"
#include "config/read_endpoint_picker_config.h"
#include "feeds/scrape_pace.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

Checked<ScrapePlan> plan_of(const std::string& rest, Duration refresh = milliseconds(50)) {
  const ConfigReading reading = read_endpoint_picker_config(
      "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n" + rest,
      upstream_plugin_types());
  EXPECT_TRUE(reading.errors.empty()) << (reading.errors.empty() ? "" : reading.errors[0].text);
  return make_scrape_plan(reading.config, Registry(), refresh);
}

Endpoint with_engine(const std::string& label, const std::string& engine) {
  return Endpoint{"a", "10.0.0.1", 1, {{label, engine}}};
}

TEST(ScrapePlan, WithoutAWordEveryPageIsReadAsVllms) {
  const Checked<ScrapePlan> plan = plan_of("plugins: [{type: queue-scorer}]\n");
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->sources.size(), 1u);
  EXPECT_EQ(plan->sources[0].path, "/metrics");
  EXPECT_EQ(plan->sources[0].port, 0);
  EXPECT_EQ(plan->sources[0].interval, milliseconds(50));
  EXPECT_EQ(plan->sources[0].ttl, seconds(30));
  EXPECT_EQ(plan->sources[0].page_of(Endpoint{}).engines[0].engine, "vllm");
}

TEST(ScrapePlan, TheEngineIsTheEndpointsLabel) {
  const ScrapePlan plan = plan_of("plugins: [{type: queue-scorer}]\n").value();
  const auto engine_of = [&](const Endpoint& endpoint) {
    return plan.sources[0].page_of(endpoint).engines[0].engine;
  };
  EXPECT_EQ(engine_of(with_engine("llm-d.ai/engine-type", "sglang")), "sglang");
  EXPECT_EQ(engine_of(with_engine("inference.networking.k8s.io/engine-type", "trtllm-serve")),
            "trtllm-serve");
  EXPECT_EQ(engine_of(with_engine("llm-d.ai/engine-type", "unheard-of")), "vllm");
}

TEST(ScrapePlan, SourcesAndExtractorsAreCarriedOut) {
  const Checked<ScrapePlan> plan = plan_of(R"(plugins:
- {type: queue-scorer}
- {type: metrics-data-source, parameters: {path: /m, port: 9100, interval: 120ms}}
- type: core-metrics-extractor
  parameters:
    defaultEngine: mine
    engineConfigs:
    - name: mine
      queuedRequestsSpec: q{kind=all}
      customMetrics: [{attributeKey: heat, metricSpec: heat}]
dataLayer: {sources: [{pluginRef: metrics-data-source, extractors: [{pluginRef: core-metrics-extractor}]}]}
)");
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_EQ(plan->sources.size(), 1u);
  const ScrapeSource& source = plan->sources[0];
  EXPECT_EQ(source.path, "/m");
  EXPECT_EQ(source.port, 9100);
  EXPECT_EQ(source.interval, milliseconds(100)) << "a multiple of the refresh interval";
  const EnginePage page = read_engine_page("q{kind=\"all\"} 3\nq{kind=\"none\"} 9\nheat 2\n",
                                           source.page_of(Endpoint{}));
  EXPECT_EQ(page.metrics.waiting, 3);
  EXPECT_EQ(page.metrics.details().attributes.at("heat"), 2);
}

TEST(ScrapePlan, GpuUtilisationComesFromDcgm) {
  const Checked<ScrapePlan> plan = plan_of(R"(plugins:
- {type: queue-scorer}
- {type: dcgm-data-source, parameters: {}}
- {type: dcgm-extractor}
dataLayer: {sources: [{pluginRef: dcgm-data-source, extractors: [{pluginRef: dcgm-extractor}]}]}
)");
  ASSERT_TRUE(plan) << plan.error().message;
  const ScrapeSource& source = plan->sources.at(0);
  EXPECT_EQ(source.port, 9400);
  const EnginePage page =
      read_engine_page("DCGM_FI_DEV_GPU_UTIL{gpu=\"0\"} 40\nDCGM_FI_DEV_GPU_UTIL{gpu=\"1\"} 60\n",
                       source.page_of(Endpoint{}));
  EXPECT_EQ(page.metrics.gpu_utilization, 0.5);
}

TEST(ScrapePlan, TheSeedsScrapersReadItsNamesAndFallBackToVllms) {
  ScraperConfig scraper;
  scraper.type = "VLLMMetricScraper";
  scraper.port = 8001;
  scraper.health_check = HealthCheckConfig{};
  ScraperConfig generic;
  generic.type = "GenericPrometheusScraper";
  generic.metrics = {"custom_queue_depth"};
  EndpointPickerConfig config;
  config.scrapers = {scraper, generic};
  const Checked<ScrapePlan> plan = make_scrape_plan(config, Registry(), milliseconds(50));
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->sources.size(), 2u);
  EXPECT_EQ(plan->sources[0].port, 8001);
  EXPECT_EQ(plan->sources[0].interval, seconds(5));
  EXPECT_EQ(plan->health_check->unhealthy_threshold, 3);
  const EnginePage page = read_engine_page(
      "vllm_queue_length 4\nvllm:num_requests_waiting 9\nvllm:num_requests_running 2\n"
      "vllm_kv_cache_usage_percent 50\n",
      plan->sources[0].page_of(Endpoint{}));
  EXPECT_EQ(page.metrics.waiting, 4);
  EXPECT_EQ(page.metrics.running, 2);
  EXPECT_EQ(page.metrics.kv_usage, 0.5);
  const EnginePage custom =
      read_engine_page("custom_queue_depth 7\n", plan->sources[1].page_of(Endpoint{}));
  EXPECT_EQ(custom.metrics.details().attributes.at("custom_queue_depth"), 7);
}

TEST(ScrapePlan, WhatIsWrongOrNotBuiltIsRefusedWithItsLine) {
  const struct {
    const char* plugin;
    const char* error;
  } cases[] = {
      {"{type: metrics-data-source, parameters: {scheme: https}}", "https is not built"},
      {"{type: metrics-data-source, parameters: {path: metrics}}", "must begin with /"},
      {"{type: metrics-data-source, parameters: {prot: 1}}", "port"},
  };
  for (const auto& [plugin, error] : cases) {
    const Checked<ScrapePlan> plan = plan_of(
        "plugins:\n- {type: queue-scorer}\n- " + std::string(plugin).insert(1, "name: s, ") +
        "\ndataLayer: {sources: [{pluginRef: s, extractors: []}]}\n");
    ASSERT_FALSE(plan) << plugin;
    EXPECT_THAT(plan.error().message, HasSubstr("line 5: "));
    EXPECT_THAT(plan.error().message, HasSubstr(error));
  }
}

TEST(ScrapePlan, WhatHasNoEffectIsNoted) {
  const Checked<ScrapePlan> plan = plan_of(
      "plugins:\n- {type: queue-scorer}\n"
      "- {name: s, type: dcgm-data-source, parameters: {useNodeAddress: true}}\n"
      "dataLayer: {sources: [{pluginRef: s, extractors: []}]}\n");
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_EQ(plan->notes.size(), 1u);
  EXPECT_THAT(plan->notes[0], HasSubstr("useNodeAddress has no effect"));
}

TEST(ScrapePace, LateOrCostlyRoundsBecomeRarerAndCalmOnesComeBack) {
  ScrapePace pace(milliseconds(50));
  EXPECT_FALSE(pace.round_done(true, milliseconds(5)));
  EXPECT_EQ(pace.interval(), milliseconds(50));
  EXPECT_TRUE(pace.round_done(false, milliseconds(1))) << "said once";
  EXPECT_FALSE(pace.round_done(true, milliseconds(30))) << "and not again";
  EXPECT_EQ(pace.interval(), milliseconds(200));
  for (int i = 0; i < 2 * ScrapePace::kCalmRounds - 1; ++i) {
    EXPECT_FALSE(pace.round_done(true, milliseconds(1)));
  }
  EXPECT_TRUE(pace.round_done(true, milliseconds(1)));
  EXPECT_EQ(pace.interval(), milliseconds(50));
}

TEST(ScrapePace, StretchesToALimit) {
  ScrapePace pace(milliseconds(50));
  for (int i = 0; i < 100; ++i) pace.round_done(false, {});
  EXPECT_EQ(pace.interval(), milliseconds(50) * ScrapePace::kStretchMax);
}

}  // namespace
}  // namespace kvasir
