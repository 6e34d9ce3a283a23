// Reads what the scheduler wants to know from an engine's /metrics page.
//
// Names and labels are those of llm-d's core-metrics-extractor for vllm, sglang, trtllm-serve, triton-tensorrt-llm and
// triton, and those that the tutorial's scrapers use (`vllm_*`, engine "seed"). A page with several series of one
// name (one for each data-parallel rank) is added up: queues and batches are sums, the cache's use is the mean.
#pragma once

#include <cstdint>
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
  std::vector<MetricSpec> kv_usage_before;  // what older versions called it; where kv_usage is absent
  bool kv_usage_in_percent = false;
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

// A number that the configuration gives a name.
struct CustomMetric {
  std::string attribute;
  MetricSpec metric;
};

// What to read from a page. Of several engines' metrics the first that is there counts.
struct PageSpecs {
  std::vector<EngineMetricSpecs> engines;
  std::vector<CustomMetric> custom;
};

// Every built-in engine's, for a page of which nobody said whose it is.
const PageSpecs& every_engine_page();

// A KV cache of more tokens is not believed: the largest have some ten million.
inline constexpr double kKvCapacityTokensMax = 1e9;

// Nor is a queue or a batch of more requests, nor a share that is further above 1 than rounding or
// overcommitment takes it; up to there it counts as 1.
inline constexpr double kRequestsMax = 1e6;
inline constexpr double kShareMax = 1.5;

// A number of EngineMetrics.
using EngineGauge = std::optional<double> EngineMetrics::*;

struct EnginePage {
  EngineMetrics metrics;  // read_at is the caller's to set
  std::optional<uint64_t> kv_capacity_tokens;
  bool any = false;  // something of what was wanted is there
  // Numbers that the page gives values that cannot be true, and no other; most often empty.
  std::vector<EngineGauge> doubted;
  // What is wrong with it, in words: wanted metrics that are missing, a value that cannot be true
  // and was ignored. Empty: nothing.
  std::string missing;
  std::string refused;
  std::string refused_capacity;  // what of `refused` concerns it
};

// Reads a page as its bytes arrive: keeps no more than one line, and looks into lines only whose name is wanted.
// What cannot be read is absent.
class EnginePageReader {
 public:
  // A longer line is skipped.
  static constexpr size_t kLineBytesMax = 64 * 1024;
  // Engines of one page whose processes are told apart; those beyond are added up.
  static constexpr size_t kByProcessMax = 256;

  // `specs` must outlive the reader.
  explicit EnginePageReader(const PageSpecs& specs);

  // Forgets the page before.
  void start();
  void feed(std::string_view bytes);
  // The page is over.
  EnginePage finish();

 private:
  enum class Role : uint8_t { kWaiting, kRunning, kKvUsage, kGpu, kBlockSize, kBlocks, kLora, kCacheInfo, kCustom };
  // One wanted metric, and the sum over its series so far.
  struct Wanted {
    const MetricSpec* metric;
    Role role;
    uint32_t owner;  // index into engines or custom
    double sum = 0;
    uint32_t series = 0;
    bool refused = false;  // a value cannot be true
  };
  // What the processes of one API server say of one engine, each in a series with its `pid`.
  struct ByProcess {
    const Wanted* wanted;
    std::string engine;
    double most;  // theirs; it is what counts
  };

  void want(const MetricSpec& metric, Role role, size_t owner);
  bool is_wanted(std::string_view line) const;
  void take(std::string_view line);
  bool is_credible(double value, const Wanted& wanted) const;
  bool take_by_process(const struct MetricSample& sample, Wanted& wanted);
  void take_lora(const struct MetricSample& sample);
  void take_cache_info(const struct MetricSample& sample, size_t engine);
  const Wanted* find(Role role) const;
  std::optional<double> cache_tokens() const;
  void read_capacity(EnginePage& page) const;
  std::string missing() const;
  bool any_refused(Role role) const;
  void read_refusals(EnginePage& page) const;

  const PageSpecs& specs_;
  std::vector<Wanted> wanted_;
  std::vector<std::string_view> names_;  // of wanted_, each once
  std::vector<ByProcess> by_process_;
  std::string carried_;                  // the beginning of a line
  bool skipping_ = false;                // the rest of a line that is too long
  EngineDetails details_;
  bool lora_seen_ = false;
  double lora_time_ = 0;
  std::vector<std::optional<double>> info_tokens_;  // by engine
};

// A whole page at once.
EnginePage read_engine_page(std::string_view page, const PageSpecs& specs);
EnginePage read_engine_page(std::string_view page, const EngineMetricSpecs& specs);

}  // namespace kvasir
