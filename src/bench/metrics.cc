#include "bench/metrics.h"

#include <algorithm>
#include <numeric>

#include "base/assert.h"

namespace kvasir {
namespace {

void count(const Outcome& outcome, ArmMetrics& metrics) {
  ++metrics.requests;
  if (!outcome.endpoint.empty()) ++metrics.requests_by_endpoint[outcome.endpoint];
  if (outcome.ok()) return;
  ++metrics.errors;
  ++metrics.errors_by_reason[outcome.error];
}

void measure_latencies(const std::vector<const Outcome*>& good, ArmMetrics& metrics) {
  std::vector<double> ttft, latency, itl;
  double waits_ms = 0;
  uint64_t waits = 0;
  for (const Outcome* outcome : good) {
    ttft.push_back(outcome->ttft_ms);
    latency.push_back(outcome->latency_ms);
    const auto itl_ms = outcome->itl_ms();
    if (!itl_ms) continue;
    itl.push_back(*itl_ms);
    waits_ms += outcome->latency_ms - outcome->ttft_ms;
    waits += outcome->output_tokens - 1;
  }
  metrics.ttft_ms = distribution_of(std::move(ttft));
  metrics.latency_ms = distribution_of(std::move(latency));
  metrics.itl_ms = distribution_of(std::move(itl));
  if (waits > 0) metrics.itl_token_weighted_ms = waits_ms / static_cast<double>(waits);
}

void measure_throughput(const std::vector<const Outcome*>& good, ArmMetrics& metrics) {
  if (good.empty()) return;
  double begin_ms = good.front()->intended_ms;
  double end_ms = good.front()->end_ms;
  bool cache_told = false;
  for (const Outcome* outcome : good) {
    begin_ms = std::min(begin_ms, outcome->intended_ms);
    end_ms = std::max(end_ms, outcome->end_ms);
    metrics.prompt_tokens += outcome->prompt_tokens;
    metrics.cached_tokens += outcome->cached_tokens.value_or(0);
    metrics.output_tokens += outcome->output_tokens;
    cache_told = cache_told || outcome->cached_tokens.has_value();
  }
  metrics.duration_s = (end_ms - begin_ms) / 1000;
  if (metrics.duration_s > 0) {
    metrics.requests_per_s = static_cast<double>(good.size()) / metrics.duration_s;
    metrics.output_tokens_per_s = static_cast<double>(metrics.output_tokens) / metrics.duration_s;
  }
  if (cache_told && metrics.prompt_tokens > 0) {
    metrics.hit_ratio =
        static_cast<double>(metrics.cached_tokens) / static_cast<double>(metrics.prompt_tokens);
  }
}

SendLag send_lag(const std::vector<Outcome>& outcomes, const ArmMetrics& metrics,
                 double time_scale) {
  SendLag lag;
  std::vector<double> lags;
  for (const Outcome& outcome : outcomes) {
    lags.push_back((outcome.sent_ms - outcome.intended_ms) / time_scale);
  }
  if (lags.empty()) return lag;
  std::sort(lags.begin(), lags.end());
  lag.p50_ms = percentile(lags, 50);
  lag.p99_ms = percentile(lags, 99);
  lag.max_ms = lags.back();
  const double median_ttft_ms = metrics.ttft_ms ? metrics.ttft_ms->p50 / time_scale : 0;
  lag.limit_ms = std::max(kSendLagFloorMs, kSendLagShare * median_ttft_ms);
  return lag;
}

}  // namespace

double percentile(const std::vector<double>& sorted, double percent) {
  KVASIR_ASSERT(!sorted.empty(), "a percentile of something");
  const double at = percent / 100 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - static_cast<double>(below));
}

std::optional<Distribution> distribution_of(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  Distribution result;
  result.mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  result.min = values.front();
  result.p50 = percentile(values, 50);
  result.p90 = percentile(values, 90);
  result.p99 = percentile(values, 99);
  result.p999 = percentile(values, 99.9);
  result.max = values.back();
  return result;
}

ArmMetrics measure(const std::string& name, const std::vector<Outcome>& outcomes,
                   double time_scale) {
  ArmMetrics metrics;
  metrics.name = name;
  std::vector<const Outcome*> good;
  for (const Outcome& outcome : outcomes) {
    count(outcome, metrics);
    if (outcome.ok()) good.push_back(&outcome);
  }
  measure_latencies(good, metrics);
  measure_throughput(good, metrics);
  metrics.send_lag = send_lag(outcomes, metrics, time_scale);
  return metrics;
}

}  // namespace kvasir
