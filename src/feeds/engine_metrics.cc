#include "feeds/engine_metrics.h"

#include <algorithm>

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
  specs.kv_usage_before = {plain("vllm:gpu_cache_usage_perc")};
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
  specs.kv_usage_in_percent = true;
  specs.gpu_utilization = plain("vllm_gpu_utilization");
  return specs;
}

const std::vector<EngineMetricSpecs>& builtin_specs() {
  static const std::vector<EngineMetricSpecs> specs = {vllm_specs(),          sglang_specs(),
                                                       trtllm_specs(),        triton_trtllm_specs(),
                                                       triton_specs(),        seed_specs()};
  return specs;
}

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

const PageSpecs& every_engine_page() {
  static const PageSpecs page{builtin_specs(), {}};
  return page;
}

const EngineMetricSpecs* find_engine_metric_specs(std::string_view engine) {
  for (const EngineMetricSpecs& specs : builtin_specs()) {
    if (specs.engine == engine) return &specs;
  }
  return nullptr;
}

}  // namespace kvasir
