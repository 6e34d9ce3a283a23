#include "plugins/cost/predicted_cost_policy.h"

#include <algorithm>

#include "hashing/prompt_blocks.h"
#include "kvindex/approximate_index.h"
#include "plugins/cost/predicted_cost.h"
#include "plugins/rotation.h"

namespace kvasir {
namespace {

constexpr uint32_t kPromptBytesPerToken = 4;
constexpr BlockSize kBlock{PromptUnit::kBytes, kPromptBytesPerBlock};
constexpr uint32_t kTokensPerBlock = kPromptBytesPerBlock / kPromptBytesPerToken;

class PredictedCostPolicy final : public Policy {
 public:
  PredictedCostPolicy(size_t endpoints, const EngineProfile& profile, PrefixKnowledge knowledge,
                      Duration full_wait)
      : knowledge_(knowledge), cost_(endpoints, profile, full_wait), index_(endpoints) {}

  BlockSizes prompt_views() const override {
    BlockSizes views;
    if (uses_blocks()) views.add(kBlock);
    return views;
  }

  std::optional<Decision> pick(const PickContext& context) override {
    const EndpointId endpoint = rotation_.cheapest(
        context.candidates, [&](EndpointId id) { return estimate(id, context).cost(); });
    const CostEstimate chosen = estimate(endpoint, context);
    Decision decision;
    decision.endpoint = endpoint;
    decision.cached_tokens = chosen.cached_tokens;
    decision.predicted_prefill = from_seconds(chosen.prefill_seconds);
    decision.predicted_wait = from_seconds(chosen.wait_seconds);
    book(decision, context);
    return decision;
  }

  PoolSaturation saturation(const PoolContext& context) override {
    return cost_.saturation(context.endpoints, context.now);
  }

  Duration predicted_prefill(const PickContext& context) override {
    CostEstimate best = estimate(context.candidates.front(), context);
    for (const EndpointId id : context.candidates.subspan(1)) {
      const CostEstimate other = estimate(id, context);
      if (other.cost() < best.cost()) best = other;
    }
    return from_seconds(best.prefill_seconds);
  }

  void first_token(RequestId request, TimePoint now) override { cost_.first_token(request, now); }
  void ended(RequestId request, TimePoint now) override { cost_.ended(request, now); }

  void endpoint_replaced(EndpointId endpoint) override {
    index_.forget(endpoint);
    index_.set_capacity(endpoint, ApproximateIndex::kDefaultCapacityBlocks);
  }

 private:
  bool uses_blocks() const { return knowledge_ == PrefixKnowledge::kApproximate; }

  CostEstimate estimate(EndpointId endpoint, const PickContext& context) {
    const Request& request = context.request;
    return cost_.estimate(endpoint, request, cached_tokens(endpoint, request), context.now);
  }

  uint32_t cached_tokens(EndpointId endpoint, const Request& request) const {
    if (!uses_blocks()) return 0;
    const uint64_t blocks = index_.match(endpoint, request.view(kBlock).hashes);
    const uint64_t tokens =
        request.prompt_bytes == 0
            ? kTokensPerBlock * blocks
            : request.prompt_tokens * kPromptBytesPerBlock * blocks / request.prompt_bytes;
    return static_cast<uint32_t>(std::min<uint64_t>(tokens, request.prompt_tokens));
  }

  void book(const Decision& decision, const PickContext& context) {
    const EndpointId endpoint = decision.endpoint;
    const uint64_t capacity = cost_.kv_tokens(endpoint, context.fleet);
    if (capacity > 0) index_.set_capacity(endpoint, capacity / kTokensPerBlock);
    cost_.book(endpoint, context.request, decision.predicted_prefill, context.fleet, context.now);
    if (uses_blocks()) index_.insert(endpoint, context.request.view(kBlock).hashes);
  }

  const PrefixKnowledge knowledge_;
  PredictedCost cost_;
  ApproximateIndex index_;
  Rotation rotation_;
};

}  // namespace

std::unique_ptr<Policy> make_predicted_cost_policy(size_t endpoints, const EngineProfile& profile,
                                                   PrefixKnowledge knowledge, Duration full_wait) {
  return std::make_unique<PredictedCostPolicy>(endpoints, profile, knowledge, full_wait);
}

}  // namespace kvasir
