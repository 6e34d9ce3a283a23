#include "plugins/cost/predicted_cost_picker.h"

#include <algorithm>
#include <vector>

#include "model/plugin_place.h"
#include "plugins/cost/predicted_cost.h"
#include "plugins/picker/picker_size.h"
#include "plugins/picker/turn_picker.h"
#include "scheduling/flow_plugins.h"

namespace kvasir {
namespace {

class PredictedCostPicker final : public Picker, public WorkPredictor, public SaturationDetector {
 public:
  // `matches` may be null: then nothing is cached anywhere.
  PredictedCostPicker(size_t chosen_max, const PluginContext& context, Duration full_wait,
                      const PrefixMatches* matches)
      : chosen_max_(chosen_max),
        matches_(matches),
        cost_(context.endpoints(), context.profile(), full_wait),
        turn_(context.endpoints(), context.profiles()),
        estimates_(context.endpoints()) {}

  size_t pick(const Cycle& cycle, std::span<ScoredEndpoint> scored) override {
    const PrefixMatch* match = match_now();
    turn_.bring_forward(cycle.profile, scored, [&](EndpointId id) {
      return (estimates_[index_of(id)] = estimate(id, cycle, match)).cost();
    });
    const size_t chosen = std::min(chosen_max_, scored.size());
    if (chosen == 1) return 1;
    std::partial_sort(scored.begin() + 1, scored.begin() + static_cast<std::ptrdiff_t>(chosen),
                      scored.end(), [&](const ScoredEndpoint& a, const ScoredEndpoint& b) {
                        return comes_before(a.endpoint, b.endpoint);
                      });
    return chosen;
  }

  Duration predicted_prefill(const Cycle& cycle) override {
    const PrefixMatch* match = match_now();
    CostEstimate best = estimate(cycle.candidates.front(), cycle, match);
    for (const EndpointId id : cycle.candidates.subspan(1)) {
      const CostEstimate other = estimate(id, cycle, match);
      if (other.cost() < best.cost()) best = other;
    }
    return from_seconds(best.prefill_seconds);
  }

  void predict(Decision& decision) const override {
    const CostEstimate& chosen = estimates_[index_of(decision.endpoint)];
    decision.predicted_prefill = from_seconds(chosen.prefill_seconds);
    decision.predicted_wait = from_seconds(chosen.wait_seconds);
  }

  double saturation(const Snapshot&, std::span<const EndpointId> endpoints,
                    TimePoint now) const override {
    return pool_saturation(endpoints, now)->decode;
  }
  std::optional<PoolSaturation> pool_saturation(std::span<const EndpointId> endpoints,
                                                TimePoint now) const override {
    return cost_.saturation(endpoints, now);
  }
  // What is sent is booked in the same step.
  Duration settling_time() const override { return Duration::zero(); }

  bool inherit(Plugin& predecessor) override {
    auto* old = dynamic_cast<PredictedCostPicker*>(&predecessor);
    return old != nullptr && cost_.take_over(old->cost_);
  }

  void picked(const Cycle& cycle, std::span<const ProfileResult> profiles) override {
    const EndpointId endpoint = profiles[0].chosen[0].endpoint;
    const Duration prefill = from_seconds(estimates_[index_of(endpoint)].prefill_seconds);
    cost_.book(endpoint, cycle.request, prefill, cycle.fleet, cycle.now);
  }
  bool watches_answers() const override { return true; }
  void first_token(RequestId request, TimePoint now) override { cost_.first_token(request, now); }
  void ended(RequestId request, TimePoint now) override { cost_.ended(request, now); }

 private:
  // Of the request in hand; null: nothing is cached anywhere.
  const PrefixMatch* match_now() const { return matches_ != nullptr ? &matches_->match() : nullptr; }

  CostEstimate estimate(EndpointId endpoint, const Cycle& cycle, const PrefixMatch* match) {
    const uint32_t cached = match != nullptr ? match->cached_tokens(cycle.request, endpoint) : 0;
    return cost_.estimate(endpoint, cycle.request, cached, cycle.now);
  }

  bool comes_before(EndpointId a, EndpointId b) const {
    const double cost_a = estimates_[index_of(a)].cost();
    const double cost_b = estimates_[index_of(b)].cost();
    return cost_a != cost_b ? cost_a < cost_b : a < b;
  }

  const size_t chosen_max_;
  const PrefixMatches* const matches_;
  mutable PredictedCost cost_;  // as time passes it releases what nobody saw the end of
  TurnPicker turn_;
  std::vector<CostEstimate> estimates_;  // by endpoint, of the current pick
};

MadePlugin make_predicted_cost_picker(std::string_view name, const Value& value,
                                      PluginContext& context) {
  Parameters parameters(value, name);
  const size_t chosen_max = read_picker_size(parameters, context);
  const Duration full_wait = parameters.duration("saturatedWait", context.hold_threshold());
  if (full_wait <= Duration::zero()) parameters.fail("saturatedWait", "must be above 0");
  const bool uses_matches = parameters.boolean("usePrefixMatches", true);
  const std::string producer = parameters.text("prefixMatchInfoProducerName", "");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  const std::string owner = std::string(name) + ": ";
  if (context.profiles() > 1) {
    return Error{owner + "works in configurations with one scheduling profile, not " +
                 std::to_string(context.profiles())};
  }
  const EngineProfile& profile = context.profile();
  if (profile.max_num_batched_tokens == 0 || profile.step.dense_ms_by_tokens.empty()) {
    return Error{owner +
                 "needs an engine profile with a token budget (max_num_batched_tokens) and step "
                 "times to predict with: name one with --engine-profile"};
  }
  const PrefixMatches* matches = nullptr;
  if (uses_matches) {
    const Result<PrefixMatches*> found = context.find<PrefixMatches>(producer);
    if (!found) return found.error();
    matches = *found;
  }
  return make_plugin<PredictedCostPicker>(chosen_max, context, full_wait, matches);
}

}  // namespace

PluginType predicted_cost_picker_plugin() {
  PluginType type{"predicted-cost-picker", make_predicted_cost_picker, Stability::kAlpha};
  type.places = kPickerPlace | kFlowControlPlace;
  return type;
}

}  // namespace kvasir
