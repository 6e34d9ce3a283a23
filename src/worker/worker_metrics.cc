#include "worker/worker_metrics.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

namespace kvasir {
namespace {

using Bounds = std::vector<double>;

const Bounds kFirstTokenBounds = {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5,  .75,
                                  1,    2.5,  5,   7.5, 10,  20,  40,  80, 160, 640, 2560};
const Bounds kTokenBounds = {.01, .025, .05, .075, .1,  .15, .2, .3, .4, .5,
                             .75, 1,    2.5, 5,    7.5, 10,  20, 40, 80};
const Bounds kLatencyBounds = {.3, .5, .8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                               30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680};
const Bounds kIterationBounds = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};
const Bounds kChoiceBounds = {1, 2, 5, 10, 20};
const Bounds kPreemptionBounds = {1, 2, 3, 4, 5, 10, 20};

// 1, 2, 5, 10, 20, ... up to `largest`.
Bounds one_two_five(double largest) {
  Bounds bounds;
  for (double decade = 1;; decade *= 10) {
    for (const double mantissa : {1.0, 2.0, 5.0}) {
      if (mantissa * decade > largest) return bounds;
      bounds.push_back(mantissa * decade);
    }
  }
}

std::string decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

// In quotes, with Prometheus' escapes.
std::string label_text(std::string_view value) {
  std::string text = "\"";
  for (const char byte : value) {
    if (byte == '\n') {
      text.append("\\n");
      continue;
    }
    if (byte == '"' || byte == '\\') text.push_back('\\');
    text.push_back(byte);
  }
  return text.append("\"");
}

double seconds_between(TimePoint from, TimePoint to) {
  return to_seconds(std::max(to, from) - from);
}

// The configuration of the KV cache as vLLM shows it: what the simulation does not have has vLLM's
// default.
Labels cache_config(const EngineProfile& profile, const EngineOptions& engine) {
  const double cpu_bytes = static_cast<double>(uint64_t{engine.cpu_blocks} * profile.block_size *
                                               profile.kv_bytes_per_token);
  const std::string block_size = std::to_string(profile.block_size);
  const uint64_t tokens = profile.kv_blocks() * profile.block_size;
  return {{"_block_size_resolved", "True"},
          {"block_size", block_size},
          {"cache_dtype", "auto"},
          {"cache_hit_alignment_tokens", "None"},
          {"effective_attention_block_size", block_size},
          {"enable_mamba_shared_prefix_checkpoint", "False"},
          {"enable_prefix_caching", engine.prefix_caching ? "True" : "False"},
          {"engine", "0"},
          {"gpu_memory_utilization", decimal(profile.gpu_memory_utilization)},
          {"hash_block_size", "None"},
          {"is_attention_free", "False"},
          {"kv_cache_dtype_skip_layers", "[]"},
          {"kv_cache_layout", "None"},
          {"kv_cache_max_concurrency",
           decimal(static_cast<double>(tokens) / std::max(profile.max_model_len, 1u))},
          {"kv_cache_memory_bytes", "None"},
          {"kv_cache_size_tokens", std::to_string(tokens)},
          {"kv_offloading_backend", "native"},
          {"kv_offloading_size", cpu_bytes == 0 ? "None" : decimal(cpu_bytes / (1 << 30))},
          {"kv_sharing_fast_prefill", "False"},
          {"mamba_block_size", "None"},
          {"mamba_cache_dtype", "auto"},
          {"mamba_cache_mode", "none"},
          {"mamba_page_size_padded", "None"},
          {"mamba_ssm_cache_dtype", "auto"},
          {"num_cpu_blocks", "None"},
          {"num_gpu_blocks", std::to_string(profile.kv_blocks())},
          {"num_gpu_blocks_override", "None"},
          {"prefix_cache_retention_interval", "0"},
          {"prefix_caching_hash_algo", "sha256"},
          {"prefix_match_unit", "None"},
          {"replayssm_buffer_len", "16"},
          {"skip_page_size_padded", "None"},
          {"sliding_window", "None"},
          {"swa_bounded_replay", "True"},
          {"use_kda_recoverssm", "False"},
          {"use_replayssm", "False"},
          {"user_specified_block_size", "True"}};
}

// One series whose labels change from page to page, and whose value is the time, as in vLLM: no
// registry keeps that.
void append_adapters(const AdapterGauges& adapters, std::string& page) {
  constexpr std::string_view kName = "vllm:lora_requests_info";
  page.append("# HELP ").append(kName).append(" Running stats on LoRA requests.\n# TYPE ");
  page.append(kName).append(" gauge\n").append(kName);
  page.append("{max_lora=\"").append(std::to_string(adapters.most));
  page.append("\",running_lora_adapters=").append(label_text(adapters.running));
  page.append(",waiting_lora_adapters=").append(label_text(adapters.waiting)).append("} ");
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  page.append(std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now).count()));
  page.push_back('\n');
}

}  // namespace

WorkerMetrics::WorkerMetrics(const std::string& model_name, const EngineProfile& profile,
                             const EngineOptions& engine)
    : model_name_(model_name), has_cpu_tier_(engine.prefix_caching && engine.cpu_blocks > 0) {
  add_constants(profile, engine);
  add_totals();
  add_histograms(profile.max_model_len);
}

Labels WorkerMetrics::labels(Labels more) const {
  Labels all = {{"engine", "0"}, {"model_name", model_name_}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// What a server without accelerators, LoRA, sleep mode, media and connectors always shows.
void WorkerMetrics::add_constants(const EngineProfile& profile, const EngineOptions& engine) {
  registry_
      .gauge("vllm:cache_config_info", "Information of the LLMEngine CacheConfig",
             cache_config(profile, engine))
      .set(1);
  for (const char* name :
       {"vllm:estimated_flops_per_gpu_total", "vllm:estimated_read_bytes_per_gpu_total",
        "vllm:estimated_write_bytes_per_gpu_total"}) {
    registry_.counter(name, "Always 0: nothing is computed here.", labels());
  }
  for (const char* state : {"awake", "weights_offloaded", "discard_all"}) {
    registry_
        .gauge("vllm:engine_sleep_state", "Engine sleep state.", labels({{"sleep_state", state}}))
        .set(std::string_view(state) == "awake" ? 1 : 0);
  }
  external_queries_ = &registry_.counter("vllm:external_prefix_cache_queries_total",
                                         "External prefix cache, in tokens.", labels());
  external_hits_ = &registry_.counter("vllm:external_prefix_cache_hits_total",
                                      "External prefix cache, in tokens.", labels());
  for (const char* name : {"vllm:mm_cache_queries_total", "vllm:mm_cache_hits_total"}) {
    registry_.counter(name, "Multi-modal cache, in items.", labels());
  }
  for (const char* reason : {"max_num_queued_reqs", "max_num_queued_tokens"}) {
    registry_.counter("vllm:admission_rejections_total",
                      "Number of admission attempts rejected by a queue limit, by reason.",
                      {{"model_name", model_name_}, {"reason", reason}});
  }
}

void WorkerMetrics::add_totals() {
  const auto counter = [&](std::string_view name, std::string_view help, Labels more = {}) {
    return &registry_.counter(name, help, labels(std::move(more)));
  };
  const auto gauge = [&](std::string_view name, std::string_view help, Labels more = {}) {
    return &registry_.gauge(name, help, labels(std::move(more)));
  };
  running_ = gauge("vllm:num_requests_running", "Number of requests in model execution batches.");
  waiting_ = gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.");
  waiting_capacity_ = gauge("vllm:num_requests_waiting_by_reason",
                            "Number of waiting requests by reason.", {{"reason", "capacity"}});
  gauge("vllm:num_requests_waiting_by_reason", "Number of waiting requests by reason.",
        {{"reason", "deferred"}});
  cache_usage_ = gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.");
  prefix_queries_ =
      counter("vllm:prefix_cache_queries_total", "Prefix cache queries, in queried tokens.");
  prefix_hits_ = counter("vllm:prefix_cache_hits_total", "Prefix cache hits, in cached tokens.");
  preemptions_ = counter("vllm:num_preemptions_total", "Cumulative number of preemptions.");
  prompt_tokens_ = counter("vllm:prompt_tokens_total", "Number of prefill tokens processed.");
  const char* by_source = "vllm:prompt_tokens_by_source_total";
  computed_tokens_ =
      counter(by_source, "Number of prompt tokens by source.", {{"source", "local_compute"}});
  cached_by_source_ =
      counter(by_source, "Number of prompt tokens by source.", {{"source", "local_cache_hit"}});
  transferred_ = counter(by_source, "Number of prompt tokens by source.",
                         {{"source", "external_kv_transfer"}});
  cached_tokens_ = counter("vllm:prompt_tokens_cached_total", "Number of cached prompt tokens.");
  const char* by_tier = "vllm:prompt_tokens_cached_by_source_total";
  cached_on_device_ =
      counter(by_tier, "Cached prompt tokens by cache tier.", {{"source", "device"}});
  cached_on_host_ = counter(by_tier, "Cached prompt tokens by cache tier.", {{"source", "host"}});
  for (const char* tier : {"p2p", "disk"}) {
    counter(by_tier, "Cached prompt tokens by cache tier.", {{"source", tier}});
  }
  cached_elsewhere_ =
      counter(by_tier, "Cached prompt tokens by cache tier.", {{"source", "external_unspecified"}});
  generation_tokens_ =
      counter("vllm:generation_tokens_total", "Number of generation tokens processed.");
  const char* success = "vllm:request_success_total";
  stopped_ =
      counter(success, "Count of successfully processed requests.", {{"finished_reason", "stop"}});
  reached_length_ = counter(success, "Count of successfully processed requests.",
                            {{"finished_reason", "length"}});
  for (const char* reason : {"abort", "repetition"}) {
    counter(success, "Count of successfully processed requests.", {{"finished_reason", reason}});
  }
  failed_ =
      counter(success, "Count of successfully processed requests.", {{"finished_reason", "error"}});
  lost_seconds_ = gauge("kvasir:lost_seconds",
                        "Model time by which the machine was too slow for the time scale.");
}

void WorkerMetrics::add_histograms(uint32_t max_model_len) {
  const auto add = [&](std::string_view name, std::string_view help, const Bounds& bounds) {
    return &registry_.histogram(name, help, bounds, labels());
  };
  const Bounds tokens = one_two_five(max_model_len);
  request_prompt_tokens_ =
      add("vllm:request_prompt_tokens", "Number of prefill tokens processed.", tokens);
  request_generation_tokens_ =
      add("vllm:request_generation_tokens", "Number of generation tokens processed.", tokens);
  iteration_tokens_ =
      add("vllm:iteration_tokens_total", "Number of tokens per engine step.", kIterationBounds);
  max_generation_tokens_ = add("vllm:request_max_num_generation_tokens",
                               "Maximum number of requested generation tokens.", tokens);
  params_n_ = add("vllm:request_params_n", "The n request parameter.", kChoiceBounds);
  params_max_tokens_ =
      add("vllm:request_params_max_tokens", "The max_tokens request parameter.", tokens);
  time_to_first_token_ =
      add("vllm:time_to_first_token_seconds", "Time to first token.", kFirstTokenBounds);
  inter_token_latency_ =
      add("vllm:inter_token_latency_seconds", "Inter-token latency.", kTokenBounds);
  time_per_output_token_ = add("vllm:request_time_per_output_token_seconds",
                               "Time per output token of a request.", kTokenBounds);
  e2e_latency_ =
      add("vllm:e2e_request_latency_seconds", "End-to-end request latency.", kLatencyBounds);
  queue_time_ =
      add("vllm:request_queue_time_seconds", "Time spent in the WAITING phase.", kLatencyBounds);
  inference_time_ = add("vllm:request_inference_time_seconds", "Time spent in the RUNNING phase.",
                        kLatencyBounds);
  prefill_time_ =
      add("vllm:request_prefill_time_seconds", "Time spent in the PREFILL phase.", kLatencyBounds);
  decode_time_ =
      add("vllm:request_decode_time_seconds", "Time spent in the DECODE phase.", kLatencyBounds);
  preemptions_of_request_ =
      add("vllm:request_num_preemptions", "Times a request was preempted.", kPreemptionBounds);
  prefill_computed_tokens_ = add("vllm:request_prefill_kv_computed_tokens",
                                 "New KV tokens computed during prefill.", tokens);
}

void WorkerMetrics::on_step(uint64_t tokens, uint64_t generation_tokens, TimePoint now) {
  iteration_tokens_->observe(static_cast<double>(tokens));
  if (tutorial_) tutorial_->on_step(generation_tokens, now);
}

void WorkerMetrics::on_first_token(Duration since_arrival) {
  time_to_first_token_->observe(to_seconds(since_arrival));
  if (tutorial_) tutorial_->on_first_token();
}

void WorkerMetrics::on_request_over(bool success) {
  if (tutorial_) tutorial_->on_request_over(success);
}

void WorkerMetrics::on_finished(const FinishedSequence& sequence) {
  const SequenceTimes& times = sequence.times;
  (sequence.reason == "stop" ? stopped_ : reached_length_)->add();
  request_prompt_tokens_->observe(static_cast<double>(sequence.prompt_tokens));
  request_generation_tokens_->observe(static_cast<double>(sequence.generation_tokens));
  params_max_tokens_->observe(static_cast<double>(sequence.max_tokens));
  prefill_computed_tokens_->observe(
      static_cast<double>(sequence.prompt_tokens - sequence.cached_tokens));
  preemptions_of_request_->observe(0);
  e2e_latency_->observe(seconds_between(times.submitted, sequence.end));
  if (tutorial_) {
    tutorial_->on_sequence_finished(std::max(sequence.end, times.submitted) - times.submitted);
  }
  queue_time_->observe(seconds_between(times.submitted, times.scheduled));
  prefill_time_->observe(seconds_between(times.scheduled, times.first_token));
  inference_time_->observe(seconds_between(times.scheduled, sequence.end));
  const double decode = seconds_between(times.first_token, sequence.end);
  decode_time_->observe(decode);
  const uint64_t gaps = sequence.generation_tokens - 1;
  time_per_output_token_->observe(gaps == 0 ? 0 : decode / static_cast<double>(gaps));
}

void WorkerMetrics::on_prompt_finished(uint64_t choices, uint64_t generation_tokens) {
  params_n_->observe(static_cast<double>(choices));
  max_generation_tokens_->observe(static_cast<double>(generation_tokens));
}

void WorkerMetrics::on_http(std::string_view method, std::string_view handler, int status) {
  const std::string group = std::to_string(status / 100) + "xx";
  registry_
      .counter(
          "http_requests_total", "Total number of requests by method, status and handler.",
          {{"handler", std::string(handler)}, {"method", std::string(method)}, {"status", group}})
      .add();
}

void WorkerMetrics::set_kv_events(const KvEventCounts& counts) {
  const auto add = [&](const char* name, const char* help, uint64_t now, uint64_t before) {
    registry_.counter(name, help, labels()).add(now - before);
  };
  add("kvasir:kv_event_batches_published_total", "Batches of KV events that were published.",
      counts.published, kv_events_seen_.published);
  add("kvasir:kv_event_batches_dropped_total", "Batches of KV events that found no place.",
      counts.dropped, kv_events_seen_.dropped);
  add("kvasir:kv_event_batches_replayed_total", "Batches of KV events that were sent again.",
      counts.replayed, kv_events_seen_.replayed);
  kv_events_seen_ = counts;
}

void WorkerMetrics::add_transfers(double time_scale, bool nixl) {
  transfers_ = std::make_unique<TransferMetrics>(registry_, labels(), time_scale, nixl);
  // As vLLM has it: only NixlConnector says which tier its tokens come from.
  if (!nixl) return;
  cached_elsewhere_ =
      &registry_.counter("vllm:prompt_tokens_cached_by_source_total",
                         "Cached prompt tokens by cache tier.", labels({{"source", "p2p"}}));
}

void WorkerMetrics::add_tutorial_names(const EngineProfile& profile) {
  tutorial_ = std::make_unique<TutorialMetrics>(registry_, labels(), profile);
}

std::string WorkerMetrics::expose(const EngineStats& stats, Duration lost_time, TimePoint now,
                                  const AdapterGauges* adapters) {
  running_->set(stats.num_requests_running);
  waiting_->set(stats.num_requests_waiting);
  waiting_capacity_->set(stats.num_requests_waiting);
  cache_usage_->set(stats.kv_cache_usage);
  lost_seconds_->set(to_seconds(lost_time));
  if (tutorial_) tutorial_->update(stats, now);
  const uint64_t hits = stats.prefix_cache_hits - seen_.prefix_cache_hits;
  const uint64_t prompt_tokens = stats.prompt_tokens - seen_.prompt_tokens;
  const uint64_t queries = stats.prefix_cache_queries - seen_.prefix_cache_queries;
  const uint64_t from_host = stats.cpu_cache_hits - seen_.cpu_cache_hits;
  prefix_queries_->add(queries);
  prefix_hits_->add(hits - from_host);
  const uint64_t loaded = stats.external_prefix_cache_hits - seen_.external_prefix_cache_hits;
  cached_tokens_->add(hits + loaded);
  cached_by_source_->add(hits - from_host);
  cached_on_device_->add(hits - from_host);
  cached_on_host_->add(from_host);
  cached_elsewhere_->add(loaded);
  transferred_->add(from_host + loaded);
  external_hits_->add(from_host + loaded);
  // The CPU tier is asked for what the GPU's cache does not have, and a connector likewise.
  if (transfers_) {
    external_queries_->add(stats.external_prefix_cache_queries -
                           seen_.external_prefix_cache_queries);
  } else if (has_cpu_tier_) {
    external_queries_->add(queries - (hits - from_host));
  }
  preemptions_->add(stats.num_preemptions - seen_.num_preemptions);
  prompt_tokens_->add(prompt_tokens);
  // Hits count at admission, prompts when they are done: between the two there is nothing computed
  // to show.
  const uint64_t computed =
      stats.prompt_tokens -
      std::min(stats.prompt_tokens, stats.prefix_cache_hits + stats.external_prefix_cache_hits);
  computed_tokens_->add(computed - std::min(computed, computed_tokens_->value()));
  generation_tokens_->add(stats.generation_tokens - seen_.generation_tokens);
  seen_ = stats;
  std::string page = registry_.expose();
  if (adapters != nullptr) append_adapters(*adapters, page);
  return page;
}

}  // namespace kvasir
