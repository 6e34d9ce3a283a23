#include "plugins/scorer/active_request_scorer.h"

#include <algorithm>

#include "base/parameters.h"

namespace kvasir {
namespace {

struct ActiveRequestScorerSettings {
  uint32_t idle_threshold = 0;
  double max_busy_score = 1;
};

class ActiveRequestScorer final : public Scorer {
 public:
  ActiveRequestScorer(ActiveRequestScorerSettings settings, const InflightLoads& loads)
      : settings_(settings), loads_(loads) {}

  void score(const Cycle&, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    const std::span<const InflightLoad> loads = loads_.loads();
    uint32_t most = 0;
    for (const EndpointId id : candidates) most = std::max(most, loads[index_of(id)].requests);
    const double scale = most > 0 ? settings_.max_busy_score / most : 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const uint32_t count = loads[index_of(candidates[i])].requests;
      scores[i] = count <= settings_.idle_threshold ? 1 : (most - count) * scale;
    }
  }

 private:
  const ActiveRequestScorerSettings settings_;
  const InflightLoads& loads_;
};

MadePlugin make_active_request_scorer(std::string_view name, const Value& value,
                                      PluginContext& context) {
  Parameters parameters(value, name);
  ActiveRequestScorerSettings settings;
  settings.idle_threshold =
      static_cast<uint32_t>(parameters.integer("idleThreshold", 0, 0, UINT32_MAX));
  settings.max_busy_score = parameters.number("maxBusyScore", 1, 0, 1);
  const std::string producer = parameters.text("inFlightLoadProducerName", "");
  parameters.ignore("requestTimeout");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  const Result<InflightLoads*> loads = context.find<InflightLoads>(producer);
  if (!loads) return loads.error();
  return make_plugin<ActiveRequestScorer>(settings, **loads);
}

}  // namespace

PluginType active_request_scorer_plugin() {
  return {"active-request-scorer", make_active_request_scorer};
}

}  // namespace kvasir
