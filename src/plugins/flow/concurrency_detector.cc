#include "plugins/flow/concurrency_detector.h"

#include <algorithm>

#include "base/parameters.h"
#include "scheduling/flow_plugins.h"

namespace kvasir {
namespace {

constexpr Duration kSettlingTime = std::chrono::milliseconds(10);

enum class Mode { kRequests, kTokens, kHybrid };

struct ConcurrencyDetectorSettings {
  Mode mode = Mode::kRequests;
  double requests_most = 100;
  double tokens_most = 1'000'000;
  double headroom = 0;
};

class ConcurrencyDetector final : public SaturationDetector, public Filter {
 public:
  ConcurrencyDetector(ConcurrencyDetectorSettings settings, const InflightLoads& loads)
      : settings_(settings), loads_(loads) {}

  // All endpoints have the same capacity: the mean of the shares is the share of the whole.
  double saturation(const Snapshot&, std::span<const EndpointId> endpoints,
                    TimePoint) const override {
    if (endpoints.empty()) return 1;
    double sum = 0;
    for (const EndpointId id : endpoints) sum += share(id);
    return sum / static_cast<double>(endpoints.size());
  }

  // What is in flight is known at once.
  Duration settling_time() const override { return kSettlingTime; }

  void filter(const Cycle&, std::vector<EndpointId>& candidates) const override {
    std::erase_if(candidates, [&](EndpointId id) { return share(id) >= 1 + settings_.headroom; });
  }

 private:
  double share(EndpointId id) const {
    const InflightLoad& load = loads_.loads()[index_of(id)];
    const double requests = load.requests / settings_.requests_most;
    const double tokens = static_cast<double>(load.tokens) / settings_.tokens_most;
    switch (settings_.mode) {
      case Mode::kRequests:
        return requests;
      case Mode::kTokens:
        return tokens;
      case Mode::kHybrid:
        break;
    }
    return std::max(requests, tokens);
  }

  const ConcurrencyDetectorSettings settings_;
  const InflightLoads& loads_;
};

MadePlugin make_concurrency_detector(std::string_view name, const Value& value,
                                     PluginContext& context) {
  Parameters parameters(value, name);
  ConcurrencyDetectorSettings settings;
  const std::string mode =
      parameters.choice("concurrencyMode", "requests", {"requests", "tokens", "hybrid"});
  if (mode == "tokens") settings.mode = Mode::kTokens;
  if (mode == "hybrid") settings.mode = Mode::kHybrid;
  settings.requests_most = static_cast<double>(parameters.integer("maxConcurrency", 100, 1));
  settings.tokens_most =
      static_cast<double>(parameters.integer("maxTokenConcurrency", 1'000'000, 1));
  settings.headroom = parameters.number("headroom", 0);
  const std::string producer = parameters.text("inFlightLoadProducerName", "");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  const Result<InflightLoads*> loads = context.find<InflightLoads>(producer);
  if (!loads) return loads.error();
  return make_plugin<ConcurrencyDetector>(settings, **loads);
}

}  // namespace

PluginType concurrency_detector_plugin() {
  return {"concurrency-detector", make_concurrency_detector};
}

}  // namespace kvasir
