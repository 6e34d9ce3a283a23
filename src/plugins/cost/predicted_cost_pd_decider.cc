#include "plugins/cost/predicted_cost_pd_decider.h"

#include <algorithm>

#include "base/parameters.h"
#include "fleet/fleet.h"
#include "model/plugin_place.h"
#include "plugins/cost/predicted_cost.h"
#include "plugins/filter/label_value_filters.h"
#include "plugins/producer/booking_map.h"
#include "timing/learned_scale.h"

namespace kvasir {
namespace {

constexpr double kKvBytesPerToken = 262'144;  // Qwen3-32B in bf16
constexpr double kLinkMost = 1e6;

struct Handover {
  double hop_seconds = 0;
  double seconds_per_token = 0;

  double seconds(uint32_t tokens) const { return hop_seconds + seconds_per_token * tokens; }
};

// A request whose prompt was or is prefilled apart.
struct ApartRequest {
  EndpointId decode{};
  uint32_t prompt_tokens = 0;
  bool prefilling = false;  // and so booked where it does
  Duration handover{};      // predicted, with the scale in it
  std::optional<TimePoint> handed_over_at =
      {};  // when its prefill was seen to end, its decoder free
};

class PredictedCostPdDecider final : public StageDecider, public Scorer {
 public:
  PredictedCostPdDecider(const PluginContext& context, Handover handover,
                         const PrefixMatches& matches)
      : handover_(handover),
        matches_(matches),
        cost_(context.endpoints(), context.profile(), context.hold_threshold()),
        decoding_(context.endpoints()) {}

  bool separate(const Cycle& cycle, std::optional<EndpointId> decode) const override {
    if (!decode) return false;
    std::optional<double> best;
    for (const EndpointId id : cycle.candidates) {
      if (id == *decode || !may_prefill(*cycle.fleet.endpoints[index_of(id)].endpoint)) continue;
      const double cost = estimate(cycle, id).cost();
      if (!best || cost < *best) best = cost;
    }
    if (!best) return false;
    const CostEstimate here = estimate(cycle, *decode);
    return *best + handover_seconds(cycle.request, here.cached_tokens) < here.cost();
  }

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    for (size_t i = 0; i < candidates.size(); ++i)
      scores[i] = estimate(cycle, candidates[i]).cost();
    const auto [least, greatest] = std::minmax_element(scores.begin(), scores.end());
    const double base = *least, range = *greatest - *least;
    for (double& score : scores) score = range > 0 ? 1 - (score - base) / range : 1;
  }

  void picked(const Cycle& cycle, std::span<const ProfileResult> profiles) override {
    const EndpointId primary = profiles[0].chosen[0].endpoint;
    const Request& request = cycle.request;
    if (request.part == RequestPart::kAnswer) return add_apart(cycle, primary, false);
    if (profiles.size() == 1) return book(cycle, primary);
    add_apart(cycle, primary, true);
    book(cycle, profiles[1].chosen[0].endpoint);
  }

  bool watches_answers() const override { return true; }

  void prefill_ended(RequestId id, TimePoint now) override {
    ApartRequest* apart = apart_.find(id);
    if (apart == nullptr || !std::exchange(apart->prefilling, false)) return;
    cost_.prefill_ended(id, now);
    // Behind other prompts it would teach what those take.
    if (cost_.wait(apart->decode, now) == Duration::zero()) apart->handed_over_at = now;
  }

  void first_token(RequestId id, TimePoint now) override {
    ApartRequest* apart = apart_.find(id);
    if (apart == nullptr) return cost_.first_token(id, now);
    // Nobody saw when its prefill was over: it is by now.
    if (std::exchange(apart->prefilling, false)) return cost_.ended(id, now);
    if (apart->handed_over_at) scale_.observe(apart->handover, now - *apart->handed_over_at);
  }

  void ended(RequestId id, TimePoint now) override {
    const ApartRequest* apart = apart_.find(id);
    if (apart == nullptr) return cost_.ended(id, now);
    if (apart->prefilling) cost_.ended(id, now);
    DecodeLoad& load = decoding_[index_of(apart->decode)];
    --load.rows;
    load.kv_tokens -= apart->prompt_tokens;
    apart_.erase(id);
  }

  bool inherit(Plugin& predecessor) override {
    auto* old = dynamic_cast<PredictedCostPdDecider*>(&predecessor);
    if (old == nullptr || !cost_.take_over(old->cost_)) return false;
    apart_ = std::move(old->apart_);
    decoding_ = std::move(old->decoding_);
    scale_ = old->scale_;
    return true;
  }

 private:
  CostEstimate estimate(const Cycle& cycle, EndpointId id) const {
    const uint32_t cached = matches_.match().cached_tokens(cycle.request, id);
    return cost_.estimate(id, cycle.request, cached, cycle.now, decoding_[index_of(id)]);
  }
  double handover_seconds(const Request& request, uint32_t cached_tokens) const {
    return scale_.value() * handover_.seconds(request.prompt_tokens - cached_tokens);
  }

  void book(const Cycle& cycle, EndpointId endpoint) {
    const Duration prefill = from_seconds(estimate(cycle, endpoint).prefill_seconds);
    cost_.book(endpoint, cycle.request, prefill, cycle.fleet, cycle.now);
  }
  void add_apart(const Cycle& cycle, EndpointId decode, bool prefilling) {
    const Request& request = cycle.request;
    const uint32_t cached = matches_.match().cached_tokens(request, decode);
    apart_.insert(request.id, ApartRequest{decode,
                                           request.prompt_tokens,
                                           prefilling,
                                           from_seconds(handover_seconds(request, cached)),
                                           {}});
    DecodeLoad& load = decoding_[index_of(decode)];
    ++load.rows;
    load.kv_tokens += request.prompt_tokens;
  }

  const Handover handover_;
  const PrefixMatches& matches_;
  mutable PredictedCost cost_;            // as time passes it releases what nobody saw the end of
  LearnedScale scale_{Duration::zero()};  // of handovers
  BookingMap<ApartRequest> apart_;
  std::vector<DecodeLoad> decoding_;  // by endpoint: what was prefilled apart
};

MadePlugin make_decider(std::string_view name, const Value& value, PluginContext& context) {
  Parameters parameters(value, name);
  const EngineProfile& profile = context.profile();
  const double bytes = profile.kv_bytes_per_token > 0
                           ? static_cast<double>(profile.kv_bytes_per_token)
                           : kKvBytesPerToken;
  const double link = parameters.number("linkGbPerS", 25, 1e-3, kLinkMost);
  const double kv_bytes = parameters.number("kvBytesPerToken", bytes, 1, 1e9);
  const Duration hop = parameters.duration("hop", std::chrono::milliseconds(5));
  const std::string producer = parameters.text("prefixMatchInfoProducerName", "");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  if (profile.max_num_batched_tokens == 0 || profile.step.dense_ms_by_tokens.empty()) {
    return Error{std::string(name) +
                 ": needs an engine profile with a token budget (max_num_batched_tokens) and step "
                 "times to predict with: name one with --engine-profile"};
  }
  const Result<PrefixMatches*> matches = context.find<PrefixMatches>(producer);
  if (!matches) return matches.error();
  return make_plugin<PredictedCostPdDecider>(
      context, Handover{to_seconds(hop), kv_bytes / (link * 1e9)}, **matches);
}

}  // namespace

PluginType predicted_cost_pd_decider_plugin() {
  PluginType type{"predicted-cost-pd-decider", make_decider, Stability::kAlpha};
  type.places = kScorerPlace | kOtherPlace;
  return type;
}

}  // namespace kvasir
