#include "worker/tutorial_metrics.h"

#include <algorithm>
#include <cmath>

namespace kvasir {
namespace {

// Raises `counter` to `total`.
void raise(Counter& counter, uint64_t total) {
  counter.add(total - std::min(total, counter.value()));
}

}  // namespace

TutorialMetrics::TutorialMetrics(MetricRegistry& registry, Labels labels,
                                 const EngineProfile& profile)
    : registry_(registry),
      labels_(std::move(labels)),
      sequences_max_(std::max(profile.max_num_seqs, 1u)) {
  const auto gauge = [&](std::string_view name, std::string_view help) {
    return &registry_.gauge(name, help, labels_);
  };
  const auto counter = [&](std::string_view name, std::string_view help) {
    return &registry_.counter(name, help, labels_);
  };
  const auto requests = [&](const char* status) {
    Labels all = labels_;
    all.emplace_back("status", status);
    return &registry_.counter("vllm_requests_total",
                              "Requests for an answer that were over, by how they ended.", all);
  };
  succeeded_ = requests("success");
  failed_ = requests("failure");
  registry_.mirror("vllm_request_duration_seconds", "End-to-end request latency.",
                   {.of = "vllm:e2e_request_latency_seconds", .keep_all = true});
  active_requests_ =
      gauge("vllm_active_requests", "Number of requests in model execution batches.");
  queue_length_ = gauge("vllm_queue_length", "Number of requests waiting to be processed.");
  tokens_generated_ = counter("vllm_tokens_generated_total", "Tokens of answers.");
  tokens_per_second_ =
      gauge("vllm_tokens_per_second", "Tokens of answers in a second, over the last 10 seconds.");
  prefill_tokens_ =
      counter("vllm_prefill_tokens_total", "Tokens of prompts that were computed, not found.");
  decode_tokens_ = counter("vllm_decode_tokens_total",
                           "Tokens of answers but the first of each, which its prefill makes.");
  cache_usage_ = {gauge("vllm_kv_cache_usage_percent", "KV-cache usage, 0 to 100."),
                  gauge("vllm_gpu_cache_usage_percent", "KV-cache usage, 0 to 100.")};
  hit_rate_ = gauge("vllm_kv_cache_hit_rate",
                    "Share of the prompt tokens looked up in the prefix cache that were found.");
  const char* busy = "Simulated: the batch's share of max_num_seqs, 0 to 100.";
  gpu_utilization_ = {gauge("vllm_gpu_utilization_percent", busy),
                      gauge("vllm_gpu_utilization", busy),
                      &registry_.gauge("DCGM_FI_DEV_GPU_UTIL", busy, {{"gpu", "0"}})};
  if (profile.kv_bytes_per_token > 0) {
    const uint64_t tokens = profile.kv_blocks() * profile.block_size;
    gauge("vllm_kv_cache_size_bytes", "Size of the KV cache.")
        ->set(static_cast<double>(tokens * profile.kv_bytes_per_token));
  }
  if (profile.gpu_memory_bytes > 0) {
    gauge("vllm_gpu_memory_used_bytes", "GPU memory that the engine takes for itself at start.")
        ->set(static_cast<double>(profile.gpu_memory_bytes) * profile.gpu_memory_utilization);
  }
}

void TutorialMetrics::on_step(uint64_t generation_tokens, TimePoint now) {
  last_step_ = now;
  if (samples_.empty() || now - samples_.back().at >= kRateWindow / 10) {
    samples_.push_back({now, generation_tokens});
  }
  while (samples_.size() > 1 && samples_[1].at <= now - kRateWindow) samples_.pop_front();
}

void TutorialMetrics::on_sequence_finished(Duration latency) {
  if (latencies_.size() < kLatenciesMax) {
    latencies_.push_back(to_seconds(latency));
  } else {
    latencies_[next_latency_] = to_seconds(latency);
    next_latency_ = (next_latency_ + 1) % kLatenciesMax;
  }
}

// Over the window, or since the first step when that is younger; 0 when nothing was made in it.
double TutorialMetrics::tokens_per_second(uint64_t generation_tokens, TimePoint now) {
  while (samples_.size() > 1 && samples_[1].at <= now - kRateWindow) samples_.pop_front();
  if (last_step_ <= now - kRateWindow) return 0;
  if (samples_.empty() || now <= samples_.front().at) return 0;
  const Sample& oldest = samples_.front();
  return static_cast<double>(generation_tokens - oldest.generation_tokens) /
         to_seconds(now - oldest.at);
}

double TutorialMetrics::latency_p99() const {
  std::vector<double> sorted = latencies_;
  const auto rank = static_cast<size_t>(std::ceil(0.99 * static_cast<double>(sorted.size())));
  const auto place = sorted.begin() + static_cast<std::ptrdiff_t>(rank - 1);
  std::nth_element(sorted.begin(), place, sorted.end());
  return *place;
}

void TutorialMetrics::update(const EngineStats& stats, TimePoint now) {
  queue_length_->set(stats.num_requests_waiting);
  active_requests_->set(stats.num_requests_running);
  for (Gauge* gauge : cache_usage_) gauge->set(100 * stats.kv_cache_usage);
  const double busy = std::min(100.0, 100.0 * stats.num_requests_running / sequences_max_);
  for (Gauge* gauge : gpu_utilization_) gauge->set(busy);
  raise(*tokens_generated_, stats.generation_tokens);
  raise(*decode_tokens_,
        stats.generation_tokens - std::min(stats.generation_tokens, first_tokens_));
  const uint64_t found = stats.prefix_cache_hits + stats.external_prefix_cache_hits;
  raise(*prefill_tokens_, stats.prompt_tokens - std::min(stats.prompt_tokens, found));
  tokens_per_second_->set(tokens_per_second(stats.generation_tokens, now));
  hit_rate_->set(stats.prefix_cache_queries == 0
                     ? 0
                     : static_cast<double>(stats.prefix_cache_hits) /
                           static_cast<double>(stats.prefix_cache_queries));
  if (latencies_.empty()) return;
  if (latency_p99_ == nullptr) {
    latency_p99_ = &registry_.gauge(
        "vllm_request_latency_p99",
        "99th percentile of the latency of the last 1000 answers, in seconds.", labels_);
  }
  latency_p99_->set(latency_p99());
}

}  // namespace kvasir
