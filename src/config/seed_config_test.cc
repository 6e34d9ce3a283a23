#include "config/seed_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "config/compile.h"
#include "config/read_endpoint_picker_config.h"
#include "plugins/plugin_roster.h"

namespace kvasir {
namespace {

using std::chrono::seconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

ConfigReading read(const std::string& text) {
  return read_endpoint_picker_config(text, upstream_plugin_types());
}

std::vector<std::string> texts(const std::vector<Remark>& remarks) {
  std::vector<std::string> all;
  for (const Remark& remark : remarks) all.push_back(to_string(remark));
  return all;
}

// A profile with this one entry in a section.
std::string with(const std::string& section, const std::string& entry) {
  return "profiles:\n- name: default\n  plugins:\n    " + section + ":\n      enabled:\n      - " +
         entry + "\n";  // line 6
}

std::string seed_config_map() {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  std::ifstream stream(std::string(root != nullptr ? root : ".") +
                       "/tests/data/seed_config_map.yaml");
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::vector<std::pair<std::string, double>> weighted(const SchedulingProfileConfig& profile) {
  std::vector<std::pair<std::string, double>> uses;
  for (const PluginUse& use : profile.plugins)
    uses.emplace_back(use.plugin, use.weight.value_or(-1));
  return uses;
}

TEST(SeedConfig, TheConfigMapOfTheTutorialBecomesADisaggregatedPair) {
  const ConfigReading reading = read(seed_config_map());
  ASSERT_THAT(texts(reading.errors), ElementsAre());
  EXPECT_THAT(texts(reading.warnings), ElementsAre());
  const EndpointPickerConfig& config = reading.config;
  ASSERT_EQ(config.profiles.size(), 2u);
  using Use = std::pair<std::string, double>;
  EXPECT_EQ(config.profiles[0].name, "decode");
  EXPECT_THAT(weighted(config.profiles[0]),
              ElementsAre(Use("decode-filter", -1), Use("label-selector-filter", -1),
                          Use("seed-precise-prefix-cache-scorer", 50), Use("seed-load-aware-scorer", 30),
                          Use("active-request-scorer", 15), Use("session-affinity-scorer", 5),
                          Use("max-score-picker", -1)));
  EXPECT_EQ(config.profiles[1].name, "prefill");
  EXPECT_THAT(weighted(config.profiles[1]),
              ElementsAre(Use("prefill-filter", -1), Use("label-selector-filter", -1),
                          Use("seed-precise-prefix-cache-scorer", 50), Use("seed-load-aware-scorer", 30),
                          Use("active-request-scorer", 15), Use("max-score-picker", -1)));
  ASSERT_NE(config.find_plugin("disagg-profile-handler"), nullptr);
  EXPECT_EQ(
      *config.find_plugin("prefix-based-pd-decider")->parameters.find("nonCachedTokens")->integer(),
      10);
  EXPECT_THAT(
      texts(reading.notes),
      Contains(HasSubstr(
          "line 9: profile 'default' enables DecodeFilter and PrefillFilter: read literally")));
  EXPECT_THAT(
      texts(reading.notes),
      Contains(HasSubstr("line 21: PrecisePrefixCacheScorer -> seed-precise-prefix-cache-scorer")));
}

TEST(SeedConfig, ThePairsThresholdIsThatOfPdProfileHandler) {
  const std::string pair =
      "profiles:\n- plugins: {filter: {enabled: [{name: DecodeFilter}, {name: PrefillFilter}]}}\n"
      "pluginConfig:\n- name: pd-profile-handler\n  args: ";
  const ConfigReading reading = read(pair + "{threshold: 100}\n");
  EXPECT_THAT(texts(reading.errors), ElementsAre());
  EXPECT_THAT(texts(reading.warnings), ElementsAre());
  const PluginConfig* decider = reading.config.find_plugin("prefix-based-pd-decider");
  ASSERT_NE(decider, nullptr);
  EXPECT_EQ(*decider->parameters.find("nonCachedTokens")->integer(), 100);
  EXPECT_THAT(texts(read(pair + "{treshold: 100}\n").errors),
              Contains(HasSubstr("did you mean 'threshold'?")));
  EXPECT_THAT(texts(read(pair + "{threshold: 0}\n").errors),
              Contains(HasSubstr("threshold must be from 1")));
}

TEST(SeedConfig, ParametersKeepTheSeedsMeaning) {
  const EndpointPickerConfig config = read(seed_config_map()).config;
  const Value& load = config.find_plugin("seed-load-aware-scorer")->parameters;
  EXPECT_EQ(load.find("queueLengthWeight")->number(), 0.6);
  EXPECT_EQ(load.find("gpuUtilWeight")->number(), 0.4);
  EXPECT_EQ(*load.find("maxQueueLength")->integer(), 10);
  const Value& session = config.find_plugin("session-affinity-scorer")->parameters;
  EXPECT_EQ(*session.find("strategy")->text(), "session_id");
  EXPECT_EQ(*session.find("evictionTtlSeconds")->integer(), 300);
  const Value& prefix = config.find_plugin("seed-precise-prefix-cache-scorer")->parameters;
  EXPECT_EQ(prefix.find("cacheHitThreshold")->number(), 0.5);
  EXPECT_EQ(*prefix.find("maxPrefixLength")->integer(), 2048);
}

TEST(SeedConfig, ScrapersAreListedInsteadOfTheDefaultMetrics) {
  const EndpointPickerConfig config = read(seed_config_map()).config;
  EXPECT_TRUE(config.data_layer.sources.empty());
  ASSERT_EQ(config.scrapers.size(), 2u);
  EXPECT_EQ(config.scrapers[0].type, "VLLMMetricScraper");
  EXPECT_EQ(config.scrapers[0].path, "/metrics");
  EXPECT_EQ(config.scrapers[0].port, 8001);
  EXPECT_EQ(config.scrapers[0].interval, seconds(5));
  EXPECT_EQ(config.scrapers[0].timeout, seconds(2));
  EXPECT_EQ(config.scrapers[0].metric_ttl, seconds(30));
  EXPECT_EQ(config.scrapers[1].port, 0);
}

TEST(SeedConfig, EveryFieldOfAScraperIsRead) {
  const ConfigReading reading = read(with(
      "scrape",
      R"({name: GenericPrometheusScraper, args: {endpoint: /custom-metrics, port: 9090, interval: 10s,
        timeout: 3s, ttl: 20s, metrics: [custom_queue_depth], healthCheck: {interval: 1s, timeout: 500ms, unhealthyThreshold: 5, healthyThreshold: 1}}})"));
  ASSERT_THAT(texts(reading.errors), ElementsAre());
  const ScraperConfig& scraper = reading.config.scrapers.at(0);
  EXPECT_EQ(scraper.path, "/custom-metrics");
  EXPECT_EQ(scraper.interval, seconds(10));
  EXPECT_EQ(scraper.metric_ttl, seconds(20));
  EXPECT_THAT(scraper.metrics, ElementsAre("custom_queue_depth"));
  EXPECT_EQ(scraper.health_check->unhealthy_threshold, 5);
}

TEST(SeedConfig, CachePrefixTrackingHearsTheEnginesKvEvents) {
  for (const bool tracks : {false, true}) {
    const std::string text =
        "profiles: [{name: a, plugins: {score: {enabled: [{name: LoadAwareScorer}]},\n"
        "  scrape: {enabled: [{name: KVCacheMetricScraper}]}}}]\n"
        "pluginConfig: [{name: KVCacheMetricScraper, args: {cachePrefixTracking: " +
        std::string(tracks ? "true" : "false") + "}}]\n";
    CompileOptions options;
    options.plugins.endpoints = 2;
    const Result<PoolConfig> compiled = compile(text, "file", plugin_registry({}).value(), options);
    ASSERT_TRUE(compiled) << compiled.error().message;
    EXPECT_EQ(compiled->caches.has_value(), tracks);
    if (!tracks) continue;
    EXPECT_EQ(compiled->caches->port, 5557);
    EXPECT_EQ(compiled->caches->replay_port, 5558);
    EXPECT_THAT(compiled->notes, Contains(HasSubstr("cachePrefixTracking: what caches hold")));
  }
}

TEST(SeedConfig, TheKvCacheManagerAndTheCompositeHaveTypesOfTheirOwn) {
  const ConfigReading manager =
      read(with("score",
                "{name: KVCacheManagerScorer, weight: 60, args: {endpoint: \"http://kv:8080\", "
                "timeout: 50ms, cache_threshold: 0.5}}"));
  ASSERT_THAT(texts(manager.errors), ElementsAre());
  const PluginConfig* scorer = manager.config.find_plugin("seed-kv-cache-manager-scorer");
  ASSERT_NE(scorer, nullptr);
  EXPECT_EQ(*scorer->parameters.find("endpoint")->text(), "http://kv:8080");
  EXPECT_EQ(*scorer->parameters.find("timeout")->text(), "50ms");
  EXPECT_EQ(scorer->parameters.find("cacheThreshold")->number(), 0.5);
  EXPECT_NE(manager.config.find_plugin("single-profile-handler"), nullptr);

  const ConfigReading composite = read(with("score", "{name: CompositeScorer}"));
  ASSERT_THAT(texts(composite.errors), ElementsAre());
  const Value& shares = composite.config.find_plugin("seed-composite-scorer")->parameters;
  EXPECT_EQ(shares.find("cacheWeight")->number(), 0.5);
  EXPECT_EQ(shares.find("loadWeight")->number(), 0.3);
  EXPECT_EQ(shares.find("latencyWeight")->number(), 0.2);
  EXPECT_EQ(shares.find("maxLatencyMs")->number(), 500);
  EXPECT_EQ(shares.find("cacheHitThreshold")->number(), 0.5);
  EXPECT_EQ(*shares.find("maxQueueLength")->integer(), 10);
}

TEST(SeedConfig, SeveralProfilesAreChosenByHeader) {
  const ConfigReading reading = read(
      "profiles:\n- name: fast\n  plugins: {score: {enabled: [{name: LoadAwareScorer}]}}\n"
      "- name: warm\n  plugins: {score: {enabled: [{name: LoadAwareScorer}, {name: "
      "prefix-cache-scorer}]}}\n");
  ASSERT_THAT(texts(reading.errors), ElementsAre());
  EXPECT_EQ(*reading.config.find_plugin("header-profile-handler")
                 ->parameters.find("defaultProfile")
                 ->text(),
            "fast");
  EXPECT_EQ(reading.config.profiles[1].plugins[0].plugin, "seed-load-aware-scorer");
  EXPECT_EQ(reading.config.profiles[1].plugins[1].plugin, "prefix-cache-scorer");
}

TEST(SeedConfig, EachErrorNamesLineAndKey) {
  const struct {
    std::string text;
    const char* error;
  } cases[] = {
      {with("score", "{name: LoadAwareScore}"),
       "line 6: there is no plugin 'LoadAwareScore'; did you mean 'LoadAwareScorer'?"},
      {with("filter", "{name: LoadAwareScorer}"),
       "line 6: default: 'LoadAwareScorer' is not a filter"},
      {with("score", "{name: DecodeFilter}"), "line 6: default: 'DecodeFilter' is not a scorer"},
      {with("score", "{name: LoadAwareScorer, weight: -3}"),
       "line 6: default: score.enabled[0]: weight is out of range"},
      {with("score", "{name: LoadAwareScorer, args: {maxQueue: 3}}"),
       "line 6: LoadAwareScorer: unknown argument 'maxQueue'"},
      {with("score", "{name: LoadAwareScorer, args: {maxQueueLength: 0}}"),
       "line 6: LoadAwareScorer: maxQueueLength must be from 1"},
      {with("score", "{name: LoadAwareScorer, interval: 5s}"),
       "line 6: default: score.enabled[0]: unknown field 'interval'"},
      {with("score", "{name: SessionAffinity, args: {stickiness: extreme}}"),
       "line 6: SessionAffinity: stickiness is 'extreme'"},
      {with("score", "{name: KVCacheManagerScorer}"),
       "KVCacheManagerScorer: endpoint must be the URL"},
      {with("scorers", "{name: LoadAwareScorer}"),
       "line 5: default: unknown field 'scorers'; did you mean 'score'?"},
      {with("scrape", "{name: VllmMetricScrape}"),
       "line 6: scrape.enabled: there is no scraper 'VllmMetricScrape'; did you mean "
       "'VLLMMetricScraper'?"},
      {with("scrape", "{name: VLLMMetricScraper, interval: 5}"),
       "line 6: VLLMMetricScraper: interval must be a duration"},
      {with("scrape", "{name: VLLMMetricScraper, port: 70000}"),
       "line 6: VLLMMetricScraper: port must be from 1 to 65535"},
      {"pluginConfig:\n- {name: LoadAwareScorer}\n- {name: LoadAwareScorer}\n",
       "line 3: pluginConfig: 'LoadAwareScorer' stands twice"},
      {"pluginConfig:\n- {name: LoadAwareScorer}\n", "line 1: configuration: profiles is missing"},
  };
  for (const auto& bad : cases)
    EXPECT_THAT(texts(read(bad.text).errors), Contains(HasSubstr(bad.error))) << bad.text;
}

}  // namespace
}  // namespace kvasir
