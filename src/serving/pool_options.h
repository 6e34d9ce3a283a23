// What the operator's flags say of a pool. Every limit has its name and its default here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "config/compile.h"
#include "feeds/fleet_feeds.h"
#include "scheduling/plugin_set.h"
#include "serving/kv_knowledge.h"
#include "serving/request_class.h"
#include "serving/token_source.h"

namespace kvasir {

class ExactCaches;
class ModelTokenizers;

// Of a request under way (serving/journey.h).
struct JourneyOptions {
  // After a failure its endpoint gets no requests for this long when others can have them (on the
  // policy's clock); for the longer one when another endpoint answered what it failed. Zero: it
  // gets them all the same.
  Duration failure_pause = std::chrono::milliseconds(100);
  Duration fault_pause = std::chrono::seconds(1);
  // From a request's last byte to its decision, when it is held; then 429. Zero: as long as flow
  // control says.
  Duration decision_deadline{};
  // A prompt counts as held where it was sent for so long, beyond its predicted wait and prefill,
  // until its engine's events say so; unless the configuration says how long. Zero: it does not.
  Duration expected_lifetime = std::chrono::seconds(2);
  // Remember how decisions come about, for reports.
  bool trace = false;
};

struct PoolOptions {
  // Where the endpoints come from, their health, and who is left out.
  FleetFeedsOptions feeds = {};
  // What plugins are made with; the pool fills in `endpoints` and `filter_probe`.
  PluginOptions plugins = {};
  // Model seconds a second, for the policy's clock. Plugins of a configuration count seconds of
  // real time, as what they read does.
  double time_scale = 1;
  // By objective; and all there are, for the bands of flow control.
  PriorityOfObjective priority_of = [](std::string_view) { return std::optional<int32_t>(); };
  std::vector<int32_t> priorities = {};
  JourneyOptions journey = {};
  // Where to listen to what engines say of their KV caches, from Pool::feed() on.
  KvKnowledgeOptions kv = {};
  // Tokenizer files of models; null: none. And how engines are asked for tokens beside them.
  std::shared_ptr<const ModelTokenizers> tokenizers = {};
  TokenSourceOptions tokens = {};
  EngineCallLimits token_calls = {};
  size_t token_cache_bytes_max = size_t{64} << 20;  // of tokens that are remembered
  size_t token_threads_most = 2;  // of each of the server's threads, for long texts
  size_t token_texts_most = 64;   // that wait for these
  // Who knows what engines hold, when that is not found out by the pool itself. Outlives it.
  ExactCaches* exact_caches = nullptr;

  // What Pool::open() reads. A named policy, which `preset` is for; empty: a configuration.
  std::string policy = {};
  PresetOptions preset = {};
  // The text of an EndpointPickerConfig and its file's name; both empty: upstream's default.
  std::string config = {};
  std::string config_name = {};
  // Read anew when it changes; empty: the configuration came from elsewhere.
  std::string config_file = {};
  static constexpr size_t kConfigBytesMax = 1024 * 1024;
  Duration config_interval = std::chrono::seconds(1);
  // How often the endpoints' metrics are read, unless the configuration says otherwise.
  Duration refresh_metrics_interval = kRefreshIntervalLeast;
  // The endpoints are in the file that its dataLayer.discovery names; when it names none, this is
  // what the operator is told.
  bool endpoints_from_config = false;
  std::string no_endpoints = {};
};

}  // namespace kvasir
