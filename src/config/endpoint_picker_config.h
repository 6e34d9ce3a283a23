// What an EndpointPickerConfig says, as plain values: names are resolved and defaults filled in,
// but no plugin is made and no plugin parameter is read yet.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/value.h"
#include "feeds/scrape_plan.h"
#include "model/flow_control_config.h"
#include "model/scheduling_config.h"

namespace kvasir {

struct DataSourceConfig {
  std::string plugin;
  std::vector<std::string> extractors;
  int line = 0;
};

struct DataLayerConfig {
  bool inject_defaults = true;
  std::vector<DataSourceConfig> sources;
  std::string discovery;  // of endpoints, the name of a plugin; empty: none
  std::string peer_discovery;
  int discovery_line = 0;
  std::string cross_replica_syncer;
  std::optional<Duration> cross_replica_sync_interval;
};

// A scraper of the seed's own configuration shape. The _line fields are 0 where the file is silent.
struct ScraperConfig {
  std::string type;  // VLLMMetricScraper, KVCacheMetricScraper or GenericPrometheusScraper
  std::string path = "/metrics";
  uint16_t port = 0;  // 0: the endpoint's own
  Duration interval = std::chrono::seconds(5);
  Duration timeout = std::chrono::seconds(2);
  Duration metric_ttl = std::chrono::seconds(30);
  bool cache_prefix_tracking = false;
  std::vector<std::string> metrics;  // names, for the generic one
  std::optional<HealthCheckConfig> health_check;
  int line = 0;
  int interval_line = 0;
  int timeout_line = 0;
  int metric_ttl_line = 0;
};

struct EndpointPickerConfig {
  bool translated = false;  // from the seed's own shape: the types are not the file's words
  bool flow_control_enabled = false;              // feature gate flowControl
  bool populate_non_leader_datastore = true;      // feature gate haPopulateNonLeaderDatastore
  std::vector<PluginConfig> plugins;              // in the file's order, defaults last
  std::vector<SchedulingProfileConfig> profiles;  // at least one
  DataLayerConfig data_layer;
  FlowControlConfig flow_control;
  std::vector<std::string> parsers;     // names of plugins; none: the built-in one
  std::vector<ScraperConfig> scrapers;  // only the seed's own shape has them

  const PluginConfig* find_plugin(std::string_view name) const {
    for (const PluginConfig& plugin : plugins) {
      if (plugin.name == name) return &plugin;
    }
    return nullptr;
  }
};

}  // namespace kvasir
