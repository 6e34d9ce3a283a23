#include "plugins/flow/utilization_detector.h"

#include <algorithm>

#include "base/parameters.h"
#include "plugins/flow/utilization.h"
#include "scheduling/flow_plugins.h"

namespace kvasir {
namespace {

constexpr double kSmallestThreshold = 1e-6;
// How often metrics are read, at most, and how long after that they may take to arrive here.
constexpr Duration kRefreshInterval = std::chrono::milliseconds(50);
constexpr Duration kSlack = std::chrono::milliseconds(250);

struct UtilizationDetectorSettings {
  UtilizationThresholds thresholds;
  Duration staleness = std::chrono::milliseconds(200);
  double headroom = 0;
};

class UtilizationDetector final : public SaturationDetector, public Filter {
 public:
  explicit UtilizationDetector(UtilizationDetectorSettings settings) : settings_(settings) {}

  double saturation(const Snapshot& fleet, std::span<const EndpointId> endpoints,
                    TimePoint now) const override {
    if (endpoints.empty()) return 1;
    double sum = 0;
    for (const EndpointId id : endpoints) {
      const EngineMetrics& metrics = fleet.endpoints[index_of(id)].metrics;
      sum += is_stale(metrics, now) ? 1 : utilization_of(metrics, settings_.thresholds);
    }
    return sum / static_cast<double>(endpoints.size());
  }

  size_t stale_endpoints(const Snapshot& fleet, std::span<const EndpointId> endpoints,
                         TimePoint now) const override {
    return static_cast<size_t>(std::count_if(
        endpoints.begin(), endpoints.end(),
        [&](EndpointId id) { return is_stale(fleet.endpoints[index_of(id)].metrics, now); }));
  }

  Duration settling_time() const override {
    return kRefreshInterval + settings_.staleness + kSlack;
  }

  void filter(const Cycle& cycle, std::vector<EndpointId>& candidates) const override {
    const auto full = [&](EndpointId id) {
      const EngineMetrics& metrics = cycle.fleet.endpoints[index_of(id)].metrics;
      return is_stale(metrics, cycle.now) ||
             utilization_of(metrics, settings_.thresholds) >= 1 + settings_.headroom;
    };
    if (std::all_of(candidates.begin(), candidates.end(), full)) return;
    std::erase_if(candidates, full);
  }

 private:
  bool is_stale(const EngineMetrics& metrics, TimePoint now) const {
    return metrics.read_at == TimePoint() || now - metrics.read_at > settings_.staleness;
  }

  const UtilizationDetectorSettings settings_;
};

MadePlugin make_utilization_detector(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  UtilizationDetectorSettings settings;
  settings.thresholds.queue_depth = parameters.number("queueDepthThreshold", 5, kSmallestThreshold);
  settings.thresholds.kv_usage =
      parameters.number("kvCacheUtilThreshold", .8, kSmallestThreshold, 1);
  settings.staleness = parameters.duration("metricsStalenessThreshold", settings.staleness);
  settings.headroom = parameters.number("headroom", 0);
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<UtilizationDetector>(settings);
}

}  // namespace

PluginType utilization_detector_plugin() {
  return {"utilization-detector", make_utilization_detector};
}

}  // namespace kvasir
