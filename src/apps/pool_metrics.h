// What gateway and picker alike make of their pool's reports: metrics (names in docs/METRICS.md)
// and log lines. GatewayMetrics and EppMetrics add what is theirs.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "apps/kv_series.h"
#include "epp/probe.h"
#include "gateway/probe.h"
#include "telemetry/metrics.h"

namespace kvasir {

// `Probe`: GatewayProbe or EppProbe. The metrics' names begin with kPrefix of either.
template <class Probe>
class PoolMetrics : public Probe {
 public:
  // `all`, which must outlive it, has its series, with `more` among their labels; null: it has a
  // registry of its own.
  explicit PoolMetrics(MetricRegistry* all = nullptr, Labels more = {})
      : registry_(all, std::move(more)) {}

  void on_left(const Endpoint& endpoint) override;
  void on_moved(const Endpoint& endpoint, std::string_view address) override;
  void on_endpoint_refused(const Endpoint& endpoint) override;
  void on_discovery_failed(std::string_view source, std::string_view why) override;
  void on_filter_left_nobody(const std::string& filter, bool first, std::string_view why) override;
  void on_scrape_failed(const Endpoint& endpoint, std::string_view source_type, bool extract,
                        std::string_view why, bool first) override;
  void on_scrape_pace(std::string_view source_type, Duration interval, bool stretched) override;
  void on_scrape_plan(const ScrapePlan& plan) override;
  void on_page_problem(const Endpoint& endpoint, PageProblem problem,
                       std::string_view what) override;
  void on_health_changed(const Endpoint& endpoint, bool healthy) override;
  // The log has a line that it left.
  void on_unwatched(const Endpoint& endpoint) override { static_cast<void>(endpoint); }
  void on_check_failed(const Endpoint& endpoint, std::string_view path,
                       std::string_view why) override;
  void on_metrics_stale(bool all, size_t endpoints) override;
  void on_configuration_read(std::string_view error) override;
  void on_fewer_plugins(size_t before, size_t now) override;
  void on_service_lost(std::string_view why) override;
  void on_tokens(const Tokens& tokens) override { tokens_.found(tokens); }
  void on_cache_reset(const Endpoint& endpoint) override;
  void on_kv_news(const Endpoint& endpoint, uint32_t rank, KvNews news,
                  std::string_view text) override;

  // Also told of configurations that are refused while the program runs, on the pool's thread.
  void tell_refused_configurations(std::function<void(std::string_view error)> told) {
    refused_configuration_ = std::move(told);
  }

 protected:
  MetricRegistry registry_;
  KvPredictionSeries kv_predictions_{registry_};
  TokenSeries tokens_{registry_};

 private:
  static constexpr const char* kPrefix =
      std::is_same_v<Probe, EppProbe> ? "kvasir_epp_" : "kvasir_gateway_";
  void count(const char* name, const char* help, Labels labels = {});

  std::function<void(std::string_view)> refused_configuration_;  // may be empty
  std::vector<std::string> scrape_lines_;  // as they were logged last; of the first loop
};

extern template class PoolMetrics<GatewayProbe>;
extern template class PoolMetrics<EppProbe>;

}  // namespace kvasir
