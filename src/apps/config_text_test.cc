#include "apps/config_text.h"

#include <gtest/gtest.h>

#include "config/read_endpoint_picker_config.h"

namespace kvasir {
namespace {

std::string explained(std::string_view text) {
  const ConfigReading reading = read_endpoint_picker_config(text, upstream_plugin_types());
  EXPECT_TRUE(reading.ok());
  return config_text(reading.config, upstream_plugin_types());
}

TEST(ConfigText, TheDefaultConfigurationIsExplained) {
  EXPECT_EQ(explained(""),
            "profile handler: single-profile-handler\n"
            "profile default:\n"
            "  scorer  weight 2  queue-scorer\n"
            "  scorer  weight 2  kv-cache-utilization-scorer\n"
            "  scorer  weight 3  prefix-cache-scorer\n"
            "  picker  max-score-picker\n"
            "data layer:\n"
            "  source  metrics-data-source, read by core-metrics-extractor\n"
            "saturation detector: utilization-detector\n"
            "flow control: off (feature gate flowControl)");
}

TEST(ConfigText, NamesParametersAndFlowControlAreExplained) {
  const std::string text = explained(R"(apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
featureGates: [flowControl]
plugins:
- {name: nvlink, type: label-selector-filter, parameters: {matchLabels: {a: b}, list: [1, true, 0.5, null]}}
flowControl: {maxRequests: 9, defaultRequestTTL: 1500ms, enableEviction: true, priorityBands: [{priority: 4}]}
)");
  EXPECT_NE(text.find("  filter  nvlink (label-selector-filter) {matchLabels: {a: b}, list: [1, "
                      "true, 0.5, null]}\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("flow control: on, 9 requests, unlimited bytes, wait 1.5s (without endpoints "
                      "1.5s), eviction\n"
                      "  priority 4: 5000 requests, 1000000000 bytes, "
                      "global-strict-fairness-policy, fcfs-ordering-policy\n"),
            std::string::npos)
      << text;
}

TEST(ConfigText, ScrapersAreExplained) {
  const std::string text = explained(
      "profiles: [{plugins: {scrape: {enabled: [{name: VLLMMetricScraper, port: 8001, healthCheck: "
      "{interval: 3s}}]}}}]\n");
  EXPECT_NE(
      text.find("  scraper  VLLMMetricScraper :8001/metrics, interval 5s, timeout 2s, ttl 30s\n"
                "    health check  interval 3s, timeout 5s, 3 failures, 2 successes\n"),
      std::string::npos)
      << text;
}

}  // namespace
}  // namespace kvasir
