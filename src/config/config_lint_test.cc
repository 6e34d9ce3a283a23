#include "config/config_lint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/read_endpoint_picker_config.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> warnings(const std::string& text) {
  const ConfigReading reading = read_endpoint_picker_config(text, upstream_plugin_types());
  EXPECT_TRUE(reading.ok()) << text << (reading.ok() ? "" : to_string(reading.errors[0]));
  std::vector<std::string> all;
  for (const Remark& remark : reading.warnings) all.push_back(to_string(remark));
  return all;
}

std::string scraper(const std::string& args) {
  return "profiles:\n- name: default\n  plugins:\n    scrape:\n      enabled:\n      - {name: "
         "VLLMMetricScraper, " +
         args + "}\n";
}

TEST(ConfigLint, JudgesTheTimesOfScrapers) {
  EXPECT_THAT(warnings(scraper("port: 8001")), ElementsAre());
  EXPECT_THAT(warnings(scraper("interval: 1s, timeout: 1s, ttl: 30s")), ElementsAre());
  EXPECT_THAT(warnings(scraper("interval: 900ms, timeout: 900ms")),
              ElementsAre(HasSubstr("line 6: VLLMMetricScraper: an interval under 1s"),
                          HasSubstr("line 6: VLLMMetricScraper: a timeout under 1s")));
  EXPECT_THAT(warnings(scraper("interval: 2s, timeout: 3s")),
              ElementsAre(HasSubstr("timeout is longer than the interval")));
  EXPECT_THAT(warnings(scraper("interval: 1s")),
              ElementsAre(HasSubstr("timeout is longer than the interval")));
  EXPECT_THAT(warnings(scraper("ttl: 31s")), ElementsAre(HasSubstr("a TTL over 30s")));
}

TEST(ConfigLint, JudgesLlmdsOwnShape) {
  const std::string text = R"(apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- {type: queue-scorer}
- {type: load-aware-scorer}
- {type: by-label, parameters: {label: a, validValues: [b]}}
- {type: metrics-data-source, parameters: {interval: 50ms}}
- {type: inflight-load-producer}
- {type: max-score-picker}
schedulingProfiles:
- name: default
  plugins:
  - {pluginRef: queue-scorer, weight: 0}
  - {pluginRef: by-label, weight: 1}
  - {pluginRef: inflight-load-producer}
  - {pluginRef: max-score-picker}
flowControl: {maxRequests: 5}
)";
  EXPECT_THAT(
      warnings(text),
      ElementsAre(
          "line 5: plugins: 'load-aware-scorer' is used nowhere",
          "line 6: plugins: type by-label is deprecated; use label-selector-filter",
          HasSubstr("line 7: metrics-data-source: an interval under 1s"),
          "line 13: profile 'default': 'queue-scorer' has weight 0: its scores count for nothing",
          "line 14: profile 'default': 'by-label' is no scorer: its weight has no effect",
          "line 15: profile 'default': 'inflight-load-producer' is no filter, scorer or picker: it "
          "does nothing here",
          HasSubstr("line 17: flowControl: only saturationDetector counts")));
}

TEST(ConfigLint, APluginConfigThatNobodyEnablesIsTold) {
  EXPECT_THAT(warnings(scraper("interval: 5s") + "pluginConfig:\n- {name: LoadAwareScorer}\n"),
              ElementsAre("line 8: pluginConfig: 'LoadAwareScorer' is used nowhere"));
}

}  // namespace
}  // namespace kvasir
