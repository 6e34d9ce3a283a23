#include "plugins/predicted_cost_policy.h"

#include <algorithm>

#include "base/assert.h"
#include "fleet/fleet.h"
#include "hashing/prompt_blocks.h"
#include "kvindex/approximate_index.h"
#include "plugins/rotation.h"
#include "plugins/work_ledger.h"
#include "timing/learned_scale.h"
#include "timing/step_model.h"

namespace kvasir {
namespace {

constexpr uint32_t kBytesPerToken = 4;
constexpr uint32_t kTokensPerBlock = kPromptBytesPerBlock / kBytesPerToken;
constexpr double kOwnPrefillWeight = 2;
constexpr double kDecodeStallWeight = 0.02;
constexpr Duration kWaitWhenSaturated = std::chrono::milliseconds(300);

// What the request would meet on one endpoint.
struct Estimate {
  uint32_t cached_tokens = 0;
  double wait_seconds = 0;
  double prefill_seconds = 0;
  uint32_t decoding = 0;

  double cost() const {
    return wait_seconds + (kOwnPrefillWeight + kDecodeStallWeight * decoding) * prefill_seconds;
  }
};

class PredictedCostPolicy final : public Policy {
 public:
  PredictedCostPolicy(size_t endpoints, const EngineProfile& profile, PrefixKnowledge knowledge)
      : knowledge_(knowledge),
        budget_(profile.max_num_batched_tokens),
        profile_kv_tokens_(profile.kv_tokens),
        model_(profile.step),
        ledger_(endpoints, profile.max_num_seqs),
        index_(endpoints) {
    KVASIR_ASSERT(budget_ > 0, "the profile has a token budget");
  }

  size_t prompt_bytes_per_block() const override {
    return uses_blocks() ? kPromptBytesPerBlock : 0;
  }

  std::optional<Decision> pick(const PickContext& context) override {
    const EndpointId endpoint = rotation_.cheapest(context.candidates, [&](EndpointId id) {
      return estimate(id, context.request, context.now).cost();
    });
    const Estimate chosen = estimate(endpoint, context.request, context.now);
    Decision decision;
    decision.endpoint = endpoint;
    decision.cached_tokens = chosen.cached_tokens;
    decision.predicted_prefill = from_seconds(chosen.prefill_seconds);
    decision.predicted_wait = from_seconds(chosen.wait_seconds);
    read_capacity(endpoint, context.fleet);
    book(decision, context);
    return decision;
  }

  PoolSaturation saturation(const PoolContext& context) override {
    Duration least = Duration::max();
    PoolSaturation result;
    for (const EndpointId id : context.endpoints) {
      least = std::min(least, ledger_.wait(id, context.now));
      const auto falls = ledger_.until_wait_is(id, kWaitWhenSaturated - Duration(1), context.now);
      if (falls && (!result.falls_in || *falls < *result.falls_in)) result.falls_in = falls;
    }
    result.decode = to_seconds(least) / to_seconds(kWaitWhenSaturated);
    return result;
  }

  Duration predicted_prefill(const PickContext& context) override {
    Estimate best = estimate(context.candidates.front(), context.request, context.now);
    for (const EndpointId id : context.candidates.subspan(1)) {
      const Estimate other = estimate(id, context.request, context.now);
      if (other.cost() < best.cost()) best = other;
    }
    return from_seconds(best.prefill_seconds);
  }

  void first_token(RequestId request, TimePoint now) override {
    const auto observation = ledger_.first_token(request, now);
    if (observation) scale_.observe(observation->predicted, observation->actual);
  }

  void ended(RequestId request, TimePoint now) override { ledger_.ended(request, now); }

 private:
  bool uses_blocks() const { return knowledge_ == PrefixKnowledge::kApproximate; }

  Estimate estimate(EndpointId endpoint, const Request& request, TimePoint now) {
    const DecodeLoad load = ledger_.decoding(endpoint, now);
    Estimate result;
    result.cached_tokens = cached_tokens(endpoint, request);
    result.wait_seconds = to_seconds(ledger_.wait(endpoint, now));
    result.prefill_seconds = prefill_seconds(request.prompt_tokens, result.cached_tokens, load);
    result.decoding = load.rows;
    return result;
  }

  uint32_t cached_tokens(EndpointId endpoint, const Request& request) const {
    if (!uses_blocks()) return 0;
    const uint64_t blocks = index_.match(endpoint, request.blocks);
    const uint64_t tokens = request.prompt_bytes == 0
                                ? kTokensPerBlock * blocks
                                : request.prompt_tokens * kPromptBytesPerBlock * blocks /
                                      request.prompt_bytes;
    return static_cast<uint32_t>(std::min<uint64_t>(tokens, request.prompt_tokens));
  }

  double prefill_seconds(uint32_t prompt, uint32_t cached, const DecodeLoad& load) const {
    return scale_.value() * model_.prefill_seconds(std::max(prompt, 1u), cached, budget_, load);
  }

  void read_capacity(EndpointId endpoint, const Snapshot& fleet) {
    const uint64_t tokens =
        fleet.endpoints[index_of(endpoint)].kv_capacity_tokens.value_or(profile_kv_tokens_);
    if (tokens == 0) return;
    ledger_.set_kv_capacity(endpoint, tokens);
    index_.set_capacity(endpoint, tokens / kTokensPerBlock);
  }

  void book(const Decision& decision, const PickContext& context) {
    const Request& request = context.request;
    ledger_.book(decision.endpoint,
                 PendingWork{request.id, decision.predicted_prefill, request.prompt_tokens,
                             request.first_token_visible},
                 context.now);
    if (uses_blocks()) index_.insert(decision.endpoint, request.blocks);
  }

  const PrefixKnowledge knowledge_;
  const uint32_t budget_;
  const uint64_t profile_kv_tokens_;
  const StepModel model_;
  LearnedScale scale_;
  WorkLedger ledger_;
  ApproximateIndex index_;
  Rotation rotation_;
};

}  // namespace

std::unique_ptr<Policy> make_predicted_cost_policy(size_t endpoints, const EngineProfile& profile,
                                                   PrefixKnowledge knowledge) {
  return std::make_unique<PredictedCostPolicy>(endpoints, profile, knowledge);
}

}  // namespace kvasir
