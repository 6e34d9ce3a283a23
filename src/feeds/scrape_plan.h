// What to scrape from where, and how often: what a configuration's data layer or scrapers come down
// to (config/read_scrape_plan.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "feeds/engine_metrics.h"
#include "fleet/metrics_extractor.h"
#include "model/endpoint.h"

namespace kvasir {

// The shortest interval that is accepted, and the one that holds when nothing is said.
inline constexpr Duration kRefreshIntervalLeast = std::chrono::milliseconds(50);
inline constexpr Duration kMetricTtl = std::chrono::seconds(30);

// Says which engine an endpoint runs, unless a configuration names another label.
inline constexpr std::string_view kEngineLabel = "llm-d.ai/engine-type";
// The engine by that label, or by the label's legacy name; null: not said.
const std::string* engine_of(const Endpoint& endpoint, const std::string& label);

struct EngineChoice {
  std::string engine;
  PageSpecs page;
};

struct NamedExtractor {
  std::string name;  // of the plugin
  std::shared_ptr<const MetricsExtractor> extractor;
};

// One page of every endpoint.
struct ScrapeSource {
  std::string type = "metrics-data-source";  // what errors are counted by
  std::string path = "/metrics";
  uint16_t port = 0;  // 0: the endpoint's own
  Duration interval = kRefreshIntervalLeast;
  Duration timeout = std::chrono::seconds(1);
  Duration ttl = kMetricTtl;  // values older than this are absent
  std::string engine_label = std::string(kEngineLabel);
  std::vector<EngineChoice> engines;  // the first is the default; at least one
  std::vector<NamedExtractor> extractors;  // which read the page beside

  // By the endpoint's label (or its legacy name); an engine that is not known is read as the
  // default.
  const PageSpecs& page_of(const Endpoint& endpoint) const;
};

struct HealthCheckConfig {
  Duration interval = std::chrono::seconds(10);
  Duration timeout = std::chrono::seconds(5);
  int64_t unhealthy_threshold = 3;  // failures in a row
  int64_t healthy_threshold = 2;    // successes in a row
};

struct ScrapePlan {
  std::vector<ScrapeSource> sources;              // where two say the same, the first counts
  std::optional<HealthCheckConfig> health_check;  // of a scraper that has one
  std::vector<std::string> notes;                 // what has less effect than it says
};

}  // namespace kvasir
