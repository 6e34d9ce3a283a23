#include "plugins/cost/predicted_cost_picker.h"

#include <algorithm>
#include <vector>

#include "model/plugin_place.h"
#include "plugins/cost/predicted_cost.h"
#include "plugins/picker/picker_size.h"
#include "plugins/rotation.h"
#include "scheduling/flow_plugins.h"

namespace kvasir {
namespace {

class PredictedCostPicker final : public Picker, public SaturationDetector {
 public:
  PredictedCostPicker(size_t chosen_max, const PluginContext& context, Duration full_wait,
                      const PrefixMatches& matches)
      : chosen_max_(chosen_max),
        matches_(matches),
        cost_(context.endpoints(), context.profile(), full_wait),
        seconds_(context.endpoints(), 0.0) {
    candidates_.reserve(context.endpoints());
  }

  size_t pick(const Cycle& cycle, std::span<ScoredEndpoint> scored) override {
    candidates_.clear();
    const PrefixMatch& match = matches_.match();
    for (const ScoredEndpoint& candidate : scored) {
      candidates_.push_back(candidate.endpoint);
      seconds_[index_of(candidate.endpoint)] = estimate(candidate.endpoint, cycle, match).cost();
    }
    const EndpointId best =
        rotation_.cheapest(candidates_, [this](EndpointId id) { return seconds_[index_of(id)]; });
    const size_t chosen = std::min(chosen_max_, scored.size());
    std::partial_sort(scored.begin(), scored.begin() + static_cast<std::ptrdiff_t>(chosen),
                      scored.end(), [&](const ScoredEndpoint& a, const ScoredEndpoint& b) {
                        return comes_before(a.endpoint, b.endpoint, best);
                      });
    return chosen;
  }

  bool inherit(Plugin& predecessor) override {
    auto* old = dynamic_cast<PredictedCostPicker*>(&predecessor);
    return old != nullptr && cost_.take_over(old->cost_);
  }

  void picked(const Cycle& cycle, std::span<const ProfileResult> profiles) override {
    const EndpointId endpoint = profiles[0].chosen[0].endpoint;
    const Duration prefill =
        from_seconds(estimate(endpoint, cycle, matches_.match()).prefill_seconds);
    cost_.book(endpoint, cycle.request, prefill, cycle.fleet, cycle.now);
  }
  bool watches_answers() const override { return true; }
  void first_token(RequestId request, TimePoint now) override { cost_.first_token(request, now); }
  void ended(RequestId request, TimePoint now) override { cost_.ended(request, now); }

  double saturation(const Snapshot&, std::span<const EndpointId> endpoints,
                    TimePoint now) const override {
    return endpoints.empty() ? 1 : cost_.saturation(endpoints, now).decode;
  }
  std::optional<Duration> falls_in(std::span<const EndpointId> endpoints,
                                   TimePoint now) const override {
    return cost_.saturation(endpoints, now).falls_in;
  }
  Duration settling_time() const override { return Duration::zero(); }  // it is booked at once

 private:
  CostEstimate estimate(EndpointId endpoint, const Cycle& cycle, const PrefixMatch& match) {
    const uint32_t cached = match.cached_tokens(cycle.request, endpoint);
    return cost_.estimate(endpoint, cycle.request, cached, cycle.now);
  }

  bool comes_before(EndpointId a, EndpointId b, EndpointId best) const {
    if (a == best || b == best) return a == best && b != best;
    const double cost_a = seconds_[index_of(a)];
    const double cost_b = seconds_[index_of(b)];
    return cost_a != cost_b ? cost_a < cost_b : a < b;
  }

  const size_t chosen_max_;
  const PrefixMatches& matches_;
  mutable PredictedCost cost_;  // when asked, it settles what is past
  Rotation rotation_;
  std::vector<EndpointId> candidates_;  // of the current pick
  std::vector<double> seconds_;         // by endpoint, of the current pick
};

MadePlugin make_predicted_cost_picker(std::string_view name, const Value& value,
                                      PluginContext& context) {
  Parameters parameters(value, name);
  const size_t chosen_max = read_picker_size(parameters, context);
  const std::string producer = parameters.text("prefixMatchInfoProducerName", "");
  const Duration full_wait = parameters.duration("saturatedWait", context.hold_threshold());
  if (full_wait <= Duration::zero()) parameters.fail("saturatedWait", "must be above 0");
  if (const Result<void> read = parameters.finish(); !read) return read.error();
  const std::string owner = std::string(name) + ": ";
  if (context.profiles() > 1) {
    return Error{owner + "works in configurations with one scheduling profile, not " +
                 std::to_string(context.profiles())};
  }
  if (context.profile().max_num_batched_tokens == 0) {
    return Error{owner + "needs an engine profile to predict with: name one with --engine-profile"};
  }
  const Result<PrefixMatches*> matches = context.find<PrefixMatches>(producer);
  if (!matches) return matches.error();
  return make_plugin<PredictedCostPicker>(chosen_max, context, full_wait, **matches);
}

}  // namespace

PluginType predicted_cost_picker_plugin() {
  PluginType type{"predicted-cost-picker", make_predicted_cost_picker, Stability::kAlpha};
  type.places = kPickerPlace | kFlowControlPlace;
  return type;
}

}  // namespace kvasir
