// Reads what the scheduler wants to know from an engine's /metrics page.
//
// Names and labels are those of llm-d's core-metrics-extractor for vllm, sglang, trtllm-serve, triton-tensorrt-llm and
// triton, and those that the tutorial's scrapers use (`vllm_*`, engine "seed"). A page with several series of one
// name (one for each data-parallel rank) is added up: queues and batches are sums, the cache's use is the mean.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fleet/fleet.h"

namespace kvasir {

// One metric: a name, and labels that a series must carry.
struct MetricSpec {
  std::string name;
  std::vector<std::pair<std::string, std::string>> labels;
};

// "metric" or "metric{label=value,...}"; nullopt when it is neither.
std::optional<MetricSpec> parse_metric_spec(std::string_view text);

// Where an engine type says what. An empty name: it does not say.
struct EngineMetricSpecs {
  std::string engine;
  MetricSpec waiting;
  MetricSpec running;
  MetricSpec kv_usage;
  MetricSpec gpu_utilization;
  MetricSpec lora;
  // Either labels of one info metric, or gauges of their own.
  MetricSpec cache_info;
  std::string block_size_label;
  std::string blocks_label;
  MetricSpec block_size;
  MetricSpec blocks;
};

// The built-in engine types; null when there is none of that name. The default is "vllm".
const EngineMetricSpecs* find_engine_metric_specs(std::string_view engine);

struct EnginePage {
  EngineMetrics metrics;  // read_at is the caller's to set
  std::optional<uint64_t> kv_capacity_tokens;
};

// One pass over the page, without allocation but for LoRA names. What cannot be read is absent.
EnginePage read_engine_page(std::string_view page, const EngineMetricSpecs& specs);

}  // namespace kvasir
