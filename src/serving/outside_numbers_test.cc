// Numbers from outside (a worker's page, a configuration) go through the real readers into the real
// policies: none of them may end the program, nor make it take memory that nobody filled.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/policy_fixture.h"
#include "config/preset_fixture.h"
#include "config/presets.h"
#include "feeds/engine_metrics.h"
#include "fleet/fleet.h"
#include "scheduling/policy.h"
#include "scheduling/scheduler.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;

constexpr size_t kEndpoints = 3;

std::vector<Endpoint> endpoints() {
  return {{"a", "10.0.0.1", 1, {}}, {"b", "10.0.0.1", 2, {}}, {"c", "10.0.0.1", 3, {}}};
}

// What the policies make of a request, and of its end.
void use(Fleet& fleet, std::unique_ptr<Policy> policy) {
  ASSERT_NE(policy, nullptr);
  ManualClock clock;
  Scheduler scheduler(fleet, std::move(policy), clock);
  std::vector<BlockHash> blocks(3000);
  for (size_t i = 0; i < blocks.size(); ++i) blocks[i] = i + 1;
  std::vector<RequestId> picked;  // a policy may refuse
  for (RequestId id = 1; id <= 6; ++id) {
    Request request;
    request.id = id;
    request.model = "m";
    request.prompt_tokens = id == 6 ? UINT32_MAX : 4000;
    request.prompt_bytes = uint64_t{4} * request.prompt_tokens;
    const PromptView views[] = {{{PromptUnit::kBytes, 2048}, blocks},
                                {{PromptUnit::kBytes, 256}, blocks}};
    request.views = views;
    request.first_token_visible = true;
    if (scheduler.schedule_among(request, {}).ok()) picked.push_back(id);
    static_cast<void>(scheduler.predicted_prefill(request));
    static_cast<void>(scheduler.saturation());
    clock.advance(std::chrono::seconds(1));
    if (!picked.empty() && picked.back() == id) scheduler.first_token(id);
  }
  for (const RequestId id : picked) scheduler.ended(id);
}

PluginOptions plugin_options() {
  PluginOptions options;
  options.endpoints = kEndpoints;
  options.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
  options.allow_alpha = true;
  return options;
}

Result<PolicyWithNotes> configured(const std::string& plugins) {
  return policy_from_config(
      "apiVersion: inference.networking.x-k8s.io/v1alpha1\nkind: EndpointPickerConfig\n"
      "plugins:\n" +
          plugins,
      "test", plugin_options());
}

std::vector<std::unique_ptr<Policy>> every_policy() {
  std::vector<std::unique_ptr<Policy>> policies;
  for (const std::string_view name : policy_names()) {
    policies.push_back(preset_policy(name, kEndpoints, plugin_options().profile));
  }
  for (const char* plugins :
       {"- type: prefix-cache-scorer\n- type: approx-prefix-cache-producer\n",
        "- type: predicted-cost-picker\n", "- type: queue-scorer\n- type: load-aware-scorer\n",
        "- type: kv-cache-utilization-scorer\n- type: running-requests-size-scorer\n",
        "- type: lora-affinity-scorer\n- type: utilization-detector\n",
        "- type: active-request-scorer\n- type: token-load-scorer\n- type: no-hit-lru-scorer\n"}) {
    policies.push_back(std::move(configured(plugins).value().policy));
  }
  return policies;
}

struct PageCase {
  std::string text;
  std::optional<uint64_t> capacity = {};
  const char* refused = "";
};

std::string cache_info(const std::string& block_size, const std::string& blocks) {
  return "vllm:cache_config_info{block_size=\"" + block_size + "\",num_gpu_blocks=\"" + blocks +
         "\"} 1\n";
}

TEST(OutsideNumbers, WhatAWorkersPageSaysNeverEndsTheProgram) {
  const std::string huge = "1" + std::string(300, '0');
  const PageCase cases[] = {
      {cache_info("16", "1000"), 16'000},
      {cache_info("16", "62500000"), 1'000'000'000},
      {cache_info("16", "62500001"), {}, "1e+09 tokens"},
      {cache_info("16", "200000000000"), {}, "3.2e+12 tokens"},
      {cache_info("16", "1e13"), {}, "1.6e+14 tokens"},
      {cache_info("16", "1e300"), {}, "tokens"},
      {cache_info("1e200", "1e200"), {}, "inf tokens"},
      {cache_info(huge, huge), {}, "inf tokens"},
      {cache_info("16", "-5"), {}, "-80 tokens"},
      {cache_info("-16", "-5")},
      {cache_info("16", "nan"), {}, "nan tokens"},
      {cache_info("16", "inf"), {}, "inf tokens"},
      {cache_info("16", "-inf"), {}, "-inf tokens"},
      {cache_info("0", "100"), {}, "0 tokens"},
      {cache_info("16", "0"), {}, "0 tokens"},
      {cache_info("16", "0.01"), {}, "0.16 tokens"},
      {cache_info("16", "None")},
      {cache_info("", "")},
      {cache_info("16", "18446744073709551616"), {}, "tokens"},
      {cache_info("16", "200000000000") + cache_info("16", "-200000000000"), {}, "0 tokens"},
      {"vllm:num_requests_waiting 1e308\nvllm:num_requests_waiting{x=\"1\"} 1e308\n", {}, "waiting"},
      {"vllm:num_requests_waiting -1e308\nvllm:num_requests_running -5\n", {}, "the value of"},
      {"vllm:num_requests_waiting nan\nvllm:num_requests_running inf\n", {}, "the value of"},
      {"vllm:num_requests_waiting 1e300\nvllm:kv_cache_usage_perc 1e300\n", {}, "the value of"},
      {"vllm:kv_cache_usage_perc -1\nDCGM_FI_DEV_GPU_UTIL 1e300\n", {}, "the value of"},
      {"vllm:kv_cache_usage_perc nan\nvllm:kv_cache_usage_perc{x=\"1\"} 0.5\n", {}, "kv_cache_usage_perc"},
      {"vllm:lora_requests_info{max_lora=\"nan\",running_lora_adapters=\"m\"} 1\n"},
      {"vllm:lora_requests_info{max_lora=\"-1\",running_lora_adapters=\",,m,,\"} inf\n", {}, "lora_requests_info"},
      {"vllm:lora_requests_info{max_lora=\"1e300\",running_lora_adapters=\"m\"} -1\n"},
  };
  for (const auto& [text, capacity, refused] : cases) {
    SCOPED_TRACE(text);
    const EnginePage page = read_engine_page(text, *find_engine_metric_specs("vllm"));
    EXPECT_EQ(page.kv_capacity_tokens, capacity);
    EXPECT_THAT(page.refused, HasSubstr(refused));
    EXPECT_EQ(page.refused.empty(), *refused == '\0') << page.refused;
    EXPECT_GE(page.metrics.waiting.value_or(0), 0);
    EXPECT_GE(page.metrics.running.value_or(0), 0);
    for (auto& policy : every_policy()) {
      Fleet fleet(endpoints());
      EngineMetrics metrics = page.metrics;
      metrics.read_at = TimePoint(Duration(1));
      for (uint32_t i = 0; i < kEndpoints; ++i) {
        fleet.set_healthy(EndpointId(i), true);
        if (page.kv_capacity_tokens) fleet.set_kv_capacity(EndpointId(i), *page.kv_capacity_tokens);
      }
      fleet.set_metrics({{EndpointId(1), metrics}, {EndpointId(2), metrics}});
      use(fleet, std::move(policy));
    }
  }
}

// Whoever sets a capacity without the page's reader meets no assertion either.
TEST(OutsideNumbers, AnyCapacityIsTakenByEveryPolicy) {
  for (const uint64_t capacity : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32, uint64_t{1} << 50,
                                  UINT64_MAX / 2, UINT64_MAX}) {
    for (auto& policy : every_policy()) {
      Fleet fleet(endpoints());
      for (uint32_t i = 0; i < kEndpoints; ++i) {
        fleet.set_healthy(EndpointId(i), true);
        fleet.set_kv_capacity(EndpointId(i), capacity);
      }
      use(fleet, std::move(policy));
    }
  }
}

// Each is refused with its key, or used.
TEST(OutsideNumbers, WhatAConfigurationSaysNeverEndsTheProgram) {
  const struct {
    const char* type;
    const char* key;
    bool is_time = false;
  } parameters[] = {{"approx-prefix-cache-producer", "blockSizeTokens"},
                    {"approx-prefix-cache-producer", "lruCapacityPerServer"},
                    {"approx-prefix-cache-producer", "maxPrefixTokensToMatch"},
                    {"approx-prefix-cache-producer", "maxPrefixBlocksToMatch"},
                    {"max-score-picker", "maxNumOfEndpoints"},
                    {"weighted-random-picker", "maxNumOfEndpoints"},
                    {"no-hit-lru-scorer", "lruSize"},
                    {"load-aware-scorer", "threshold"},
                    {"token-load-scorer", "queueThresholdTokens"},
                    {"active-request-scorer", "idleThreshold"},
                    {"active-request-scorer", "maxBusyScore"},
                    {"inflight-load-producer", "outputRatio"},
                    {"inflight-load-producer", "maxEstimatedOutputTokens"},
                    {"session-affinity-scorer", "evictionTtlSeconds"},
                    {"session-affinity-filter", "evictionTtlSeconds"},
                    {"prefix-cache-affinity-filter", "maxTTFTPenaltyMs"},
                    {"prefix-cache-affinity-filter", "peakPrefillThroughput"},
                    {"prefix-cache-scorer", "matchLengthScaleTokens"},
                    {"utilization-detector", "queueDepthThreshold"},
                    {"utilization-detector", "metricsStalenessThreshold", true},
                    {"concurrency-detector", "maxConcurrency"},
                    {"concurrency-detector", "maxTokenConcurrency"},
                    {"concurrency-detector", "headroom"},
                    {"probabilistic-admitter", "power"},
                    {"probabilistic-admitter", "k"},
                    {"context-length-aware", "label"}};
  const char* numbers[] = {"0",       "-1",    "1",      "4294967295",          "4294967296",
                           "1e18",    "1e308", "-1e308", "9223372036854775807", "0.1",
                           "1000000", ".nan",  ".inf",   "18446744073709551616"};
  size_t used = 0;
  for (const auto& [type, key, is_time] : parameters) {
    for (const char* number : numbers) {
      for (const char* unit : {"", "s", "h"}) {
        if (is_time == (*unit == '\0')) continue;
        const std::string text = std::string("- type: ") + type + "\n  parameters: {" + key + ": " +
                                 number + unit + "}\n";
        SCOPED_TRACE(text);
        Result<PolicyWithNotes> made = configured(text);
        if (!made) {
          EXPECT_THAT(made.error().message, testing::AnyOf(HasSubstr(key), HasSubstr("number")));
          continue;
        }
        ++used;
        Fleet fleet(endpoints());
        for (uint32_t i = 0; i < kEndpoints; ++i) fleet.set_healthy(EndpointId(i), true);
        use(fleet, std::move(made->policy));
      }
    }
  }
  EXPECT_GT(used, 60u);
}

TEST(OutsideNumbers, WeightsMayBeAnythingFinite) {
  for (const char* weight : {"1e308", "-1e308", "0", "-0.0", "1e-320", "9223372036854775807"}) {
    const std::string text = std::string(
                                 "- type: queue-scorer\n- type: load-aware-scorer\n"
                                 "schedulingProfiles:\n- name: default\n  plugins:\n"
                                 "  - {pluginRef: queue-scorer, weight: ") +
                             weight + "}\n  - {pluginRef: load-aware-scorer, weight: " + weight +
                             "}\n";
    SCOPED_TRACE(text);
    Result<PolicyWithNotes> made = configured(text);
    if (!made) continue;  // refused at the edge is fine
    Fleet fleet(endpoints());
    for (uint32_t i = 0; i < kEndpoints; ++i) fleet.set_healthy(EndpointId(i), true);
    use(fleet, std::move(made->policy));
  }
  for (const char* weight : {".nan", ".inf", "-.inf", "1e309"}) {
    EXPECT_FALSE(configured(std::string("- type: queue-scorer\nschedulingProfiles:\n- name: default"
                                        "\n  plugins:\n  - {pluginRef: queue-scorer, weight: ") +
                            weight + "}\n"))
        << weight;
  }
}

}  // namespace
}  // namespace kvasir
