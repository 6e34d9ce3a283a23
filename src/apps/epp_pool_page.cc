#include "apps/epp_pool_page.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <vector>

#include "telemetry/metrics.h"

namespace kvasir {
namespace {

using Field = std::optional<double> EngineMetrics::*;

bool is_fresh(const EngineMetrics& metrics, TimePoint now, Duration staleness) {
  return metrics.read_at != TimePoint{} && now - metrics.read_at <= staleness;
}

std::vector<double> values_of(const Snapshot& fleet, Field field, TimePoint now,
                              Duration staleness) {
  std::vector<double> values;
  for (const EndpointState& state : fleet.endpoints) {
    if (!state.healthy || !is_fresh(state.metrics, now, staleness)) continue;
    if (const std::optional<double> value = state.metrics.*field) values.push_back(*value);
  }
  return values;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Of the whole pool, not of a sample.
double deviation_of(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

void add_spread(MetricRegistry& page, const std::string& name, const char* of, const Labels& labels,
                const std::vector<double>& values) {
  if (values.empty()) return;
  const std::string average = "average_" + name;
  page.gauge("llm_d_epp_" + average, "Mean over the endpoints of the pool: " + std::string(of),
             labels)
      .set(mean_of(values));
  page.gauge("inference_pool_" + average, "Deprecated: use llm_d_epp_" + average + ".", labels)
      .set(mean_of(values));
  page.gauge("llm_d_epp_std_dev_" + name,
             "Standard deviation over the endpoints of the pool: " + std::string(of), labels)
      .set(deviation_of(values));
}

void add_queues(MetricRegistry& page, const Snapshot& fleet, const std::string& pool, TimePoint now,
                Duration staleness) {
  for (const EndpointState& state : fleet.endpoints) {
    if (!is_fresh(state.metrics, now, staleness) || !state.metrics.waiting) continue;
    page.gauge("llm_d_epp_per_endpoint_queue_size", "Requests that wait in the engine.",
               {{"name", pool}, {"model_server_endpoint", state.endpoint->name}})
        .set(*state.metrics.waiting);
    page.gauge("inference_pool_per_pod_queue_size",
               "Deprecated: use llm_d_epp_per_endpoint_queue_size.",
               {{"name", pool}, {"model_server_pod", state.endpoint->name}})
        .set(*state.metrics.waiting);
  }
}

}  // namespace

std::string epp_pool_page(const Snapshot& fleet, const std::string& pool, TimePoint now,
                          Duration staleness) {
  MetricRegistry page;
  const Labels labels = {{"name", pool}};
  const auto spread = [&](const char* name, const char* of, Field field) {
    add_spread(page, name, of, labels, values_of(fleet, field, now, staleness));
  };
  spread("kv_cache_utilization", "share of the KV cache in use.", &EngineMetrics::kv_usage);
  spread("queue_size", "requests that wait in the engine.", &EngineMetrics::waiting);
  spread("running_requests", "requests in the engine's batch.", &EngineMetrics::running);
  double ready = 0;
  for (const EndpointState& state : fleet.endpoints) ready += state.healthy ? 1 : 0;
  page.gauge("llm_d_epp_ready_endpoints", "Healthy endpoints of the pool.", labels).set(ready);
  page.gauge("inference_pool_ready_pods", "Deprecated: use llm_d_epp_ready_endpoints.", labels)
      .set(ready);
  page.gauge("kvasir_epp_stale_endpoints",
             "Healthy endpoints whose metrics are too old to count, or were never read.", labels)
      .set(static_cast<double>(std::count_if(
          fleet.endpoints.begin(), fleet.endpoints.end(), [&](const EndpointState& state) {
            return state.healthy && !is_fresh(state.metrics, now, staleness);
          })));
  add_queues(page, fleet, pool, now, staleness);
  return page.expose();
}

}  // namespace kvasir
