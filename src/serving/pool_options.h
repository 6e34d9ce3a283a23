// What the operator's flags say of a pool. Every limit has its name and its default here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "feeds/fleet_feeds.h"
#include "feeds/scrape_plan.h"
#include "scheduling/plugin_set.h"
#include "serving/request_class.h"

namespace kvasir {

struct PoolOptions {
  // Where the endpoints come from, their health, and who is left out.
  FleetFeedsOptions feeds = {};
  // The named policy that routes; empty: a configuration does.
  std::string policy = {};
  // The text of an EndpointPickerConfig and its file's name; both empty: upstream's default.
  std::string config = {};
  std::string config_name = {};
  // feeds.endpoints_file is the one of its dataLayer.discovery.
  bool endpoints_from_config = false;
  // Read anew when it changes; empty: the configuration came from elsewhere.
  std::string config_file = {};
  static constexpr size_t kConfigBytesMax = 1024 * 1024;
  Duration config_interval = std::chrono::seconds(1);
  // How often the endpoints' metrics are read, unless the configuration says otherwise.
  Duration refresh_metrics_interval = kRefreshIntervalLeast;
  // What plugins are made with; the pool fills in `endpoints` and `filter_probe`.
  PluginOptions plugins = {};
  // Hold requests until an endpoint has little work ahead of it (serving/holding.h), for
  // `held_most` of the policy's clock. For kv and load-cost: a configuration has its own flow
  // control.
  bool hold = false;
  Duration held_most = std::chrono::seconds(60);
  // Model seconds a second, for the policy's clock. Plugins of a configuration count seconds of
  // real time, as what they read does.
  double time_scale = 1;
  // By objective; and all there are, for the bands of flow control.
  PriorityOfObjective priority_of = [](std::string_view) { return std::optional<int32_t>(); };
  std::vector<int32_t> priorities = {};
};

}  // namespace kvasir
