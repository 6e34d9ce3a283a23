#include "feeds/engine_metrics.h"

#include <algorithm>
#include <cmath>

#include "wire/prometheus_text.h"

namespace kvasir {
namespace {

MetricSpec plain(std::string name) { return MetricSpec{std::move(name), {}}; }

MetricSpec labelled(std::string name, std::string label, std::string value) {
  return MetricSpec{std::move(name), {{std::move(label), std::move(value)}}};
}

EngineMetricSpecs vllm_specs() {
  EngineMetricSpecs specs;
  specs.engine = "vllm";
  specs.waiting = plain("vllm:num_requests_waiting");
  specs.running = plain("vllm:num_requests_running");
  specs.kv_usage = plain("vllm:kv_cache_usage_perc");
  specs.gpu_utilization = plain("DCGM_FI_DEV_GPU_UTIL");
  specs.lora = plain("vllm:lora_requests_info");
  specs.cache_info = plain("vllm:cache_config_info");
  specs.block_size_label = "block_size";
  specs.blocks_label = "num_gpu_blocks";
  return specs;
}

EngineMetricSpecs sglang_specs() {
  EngineMetricSpecs specs;
  specs.engine = "sglang";
  specs.waiting = plain("sglang:num_queue_reqs");
  specs.running = plain("sglang:num_running_reqs");
  specs.kv_usage = plain("sglang:token_usage");
  specs.cache_info = plain("sglang:cache_config_info");
  specs.block_size_label = "page_size";
  specs.blocks_label = "num_pages";
  return specs;
}

EngineMetricSpecs trtllm_specs() {
  EngineMetricSpecs specs;
  specs.engine = "trtllm-serve";
  specs.waiting = plain("trtllm_num_requests_waiting");
  specs.running = plain("trtllm_num_requests_running");
  specs.kv_usage = plain("trtllm_kv_cache_utilization");
  specs.block_size = plain("trtllm_kv_cache_tokens_per_block");
  specs.blocks = plain("trtllm_kv_cache_max_blocks");
  return specs;
}

EngineMetricSpecs triton_trtllm_specs() {
  EngineMetricSpecs specs;
  specs.engine = "triton-tensorrt-llm";
  specs.waiting = labelled("nv_trt_llm_request_metrics", "request_type", "waiting");
  specs.running = labelled("nv_trt_llm_request_metrics", "request_type", "scheduled");
  specs.kv_usage = labelled("nv_trt_llm_kv_cache_block_metrics", "kv_cache_block_type", "fraction");
  specs.block_size =
      labelled("nv_trt_llm_kv_cache_block_metrics", "kv_cache_block_type", "tokens_per");
  specs.blocks = labelled("nv_trt_llm_kv_cache_block_metrics", "kv_cache_block_type", "max");
  return specs;
}

EngineMetricSpecs triton_specs() {
  EngineMetricSpecs specs;
  specs.engine = "triton";
  specs.waiting = plain("nv_inference_pending_request_count");
  specs.running = plain("nv_inference_exec_count");
  return specs;
}

// The names of the tutorial; usage and utilisation are percentages there.
EngineMetricSpecs seed_specs() {
  EngineMetricSpecs specs;
  specs.engine = "seed";
  specs.waiting = plain("vllm_queue_length");
  specs.running = plain("vllm_active_requests");
  specs.kv_usage = plain("vllm_kv_cache_usage_percent");
  specs.gpu_utilization = plain("vllm_gpu_utilization");
  return specs;
}

const std::vector<EngineMetricSpecs>& builtin_specs() {
  static const std::vector<EngineMetricSpecs> specs = {vllm_specs(),          sglang_specs(),
                                                       trtllm_specs(),        triton_trtllm_specs(),
                                                       triton_specs(),        seed_specs()};
  return specs;
}

bool has_labels(const MetricSample& sample, const MetricSpec& spec) {
  return std::all_of(spec.labels.begin(), spec.labels.end(), [&](const auto& wanted) {
    return sample.label(wanted.first) == wanted.second;
  });
}

// A sum over the series of one metric, and how many there were.
struct Total {
  double sum = 0;
  uint32_t series = 0;

  void take(const MetricSample& sample, const MetricSpec& spec) {
    if (spec.name.empty() || sample.name != spec.name || !has_labels(sample, spec)) return;
    if (!std::isfinite(sample.value)) return;
    sum += sample.value;
    ++series;
  }
  std::optional<double> total() const { return series > 0 ? std::optional(sum) : std::nullopt; }
  std::optional<double> mean() const { return series > 0 ? std::optional(sum / series) : std::nullopt; }
};

// Shares are written as 0 to 1 by engines and as percentages by DCGM and the tutorial.
std::optional<double> as_share(std::optional<double> value, bool percent) {
  if (!value) return std::nullopt;
  return std::clamp(percent ? *value / 100 : *value, 0.0, 1.0);
}

std::vector<std::string> split_names(std::string_view list) {
  std::vector<std::string> names;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    std::string_view name = list.substr(0, comma);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    if (!name.empty()) names.emplace_back(name);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return names;
}

std::optional<double> number_of(std::optional<std::string_view> text) {
  if (!text) return std::nullopt;
  const std::optional<MetricSample> parsed = parse_metric_line("x " + std::string(*text));
  return parsed ? std::optional(parsed->value) : std::nullopt;
}

class PageReader {
 public:
  explicit PageReader(const EngineMetricSpecs& specs) : specs_(specs) {
    for (const MetricSpec* spec :
         {&specs.waiting, &specs.running, &specs.kv_usage, &specs.gpu_utilization, &specs.lora,
          &specs.cache_info, &specs.block_size, &specs.blocks}) {
      if (!spec->name.empty()) wanted_.push_back(spec->name);
    }
  }

  void read(std::string_view page) {
    while (!page.empty()) {
      const size_t end = std::min(page.find('\n'), page.size());
      const std::string_view line = page.substr(0, end);
      page.remove_prefix(std::min(end + 1, page.size()));
      if (is_wanted(line)) take(line);
    }
  }

  EnginePage result() const {
    EnginePage page;
    if (has_details_) page.metrics.shared_details = std::make_shared<const EngineDetails>(details_);
    page.metrics.waiting = waiting_.total();
    page.metrics.running = running_.total();
    page.metrics.kv_usage = as_share(kv_usage_.mean(), specs_.engine == "seed");
    page.metrics.gpu_utilization = as_share(gpu_.mean(), true);
    page.kv_capacity_tokens = capacity();
    return page;
  }

 private:
  // Cheap: most lines of a page are nobody's.
  bool is_wanted(std::string_view line) const {
    if (line.empty() || line.front() == '#') return false;
    return std::any_of(wanted_.begin(), wanted_.end(), [&](std::string_view name) {
      return line.size() > name.size() && line.starts_with(name) &&
             (line[name.size()] == '{' || line[name.size()] == ' ');
    });
  }

  void take(std::string_view line) {
    const std::optional<MetricSample> sample = parse_metric_line(line);
    if (!sample) return;
    waiting_.take(*sample, specs_.waiting);
    running_.take(*sample, specs_.running);
    kv_usage_.take(*sample, specs_.kv_usage);
    gpu_.take(*sample, specs_.gpu_utilization);
    block_size_.take(*sample, specs_.block_size);
    blocks_.take(*sample, specs_.blocks);
    if (sample->name == specs_.lora.name) take_lora(*sample);
    if (sample->name == specs_.cache_info.name) take_cache_info(*sample);
  }

  // The value is a time: the newest series counts.
  void take_lora(const MetricSample& sample) {
    if (lora_seen_ && sample.value < lora_time_) return;
    lora_seen_ = has_details_ = true;
    lora_time_ = sample.value;
    details_.running_adapters = split_names(sample.label("running_lora_adapters").value_or(""));
    details_.waiting_adapters = split_names(sample.label("waiting_lora_adapters").value_or(""));
    details_.adapters_max =
        static_cast<uint32_t>(std::clamp(number_of(sample.label("max_lora")).value_or(0), 0.0, 1e6));
  }

  void take_cache_info(const MetricSample& sample) {
    const auto size = number_of(sample.label(specs_.block_size_label));
    const auto count = number_of(sample.label(specs_.blocks_label));
    if (size && count && *size > 0 && *count > 0) info_tokens_ += *size * *count;
  }

  std::optional<uint64_t> capacity() const {
    double tokens = info_tokens_;
    if (tokens == 0 && block_size_.mean() && blocks_.total()) tokens = *block_size_.mean() * *blocks_.total();
    if (!(tokens >= 1 && tokens < 1e15)) return std::nullopt;
    return static_cast<uint64_t>(tokens);
  }

  const EngineMetricSpecs& specs_;
  std::vector<std::string_view> wanted_;
  Total waiting_, running_, kv_usage_, gpu_, block_size_, blocks_;
  EngineDetails details_;
  bool has_details_ = false;
  bool lora_seen_ = false;
  double lora_time_ = 0;
  double info_tokens_ = 0;
};

}  // namespace

std::optional<MetricSpec> parse_metric_spec(std::string_view text) {
  const size_t brace = text.find('{');
  MetricSpec spec{std::string(text.substr(0, brace)), {}};
  if (spec.name.empty() || spec.name.find_first_of(" =,}\"") != std::string::npos) return std::nullopt;
  if (brace == std::string_view::npos) return spec;
  if (!text.ends_with('}')) return std::nullopt;
  std::string_view rest = text.substr(brace + 1, text.size() - brace - 2);
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view pair = rest.substr(0, comma);
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos || equals == 0) return std::nullopt;
    spec.labels.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return spec;
}

const EngineMetricSpecs* find_engine_metric_specs(std::string_view engine) {
  for (const EngineMetricSpecs& specs : builtin_specs()) {
    if (specs.engine == engine) return &specs;
  }
  return nullptr;
}

EnginePage read_engine_page(std::string_view page, const EngineMetricSpecs& specs) {
  PageReader reader(specs);
  reader.read(page);
  return reader.result();
}

}  // namespace kvasir
