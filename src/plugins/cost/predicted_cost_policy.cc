#include "plugins/cost/predicted_cost_policy.h"

#include <algorithm>

#include "hashing/prompt_blocks.h"
#include "plugins/cost/predicted_cost.h"
#include "plugins/rotation.h"
#include "scheduling/pool_knowledge.h"

namespace kvasir {
namespace {

constexpr uint32_t kPromptBytesPerToken = 4;
constexpr BlockSize kBlock{PromptUnit::kBytes, kPromptBytesPerBlock};
constexpr uint32_t kTokensPerBlock = kPromptBytesPerBlock / kPromptBytesPerToken;

class PredictedCostPolicy final : public Policy {
 public:
  PredictedCostPolicy(size_t endpoints, const EngineProfile& profile, PrefixKnowledge knowledge,
                      Duration full_wait)
      : knowledge_(knowledge),
        cost_(endpoints, profile, full_wait),
        index_(kBlock, endpoints),
        matched_(endpoints) {}

  BlockSizes prompt_views() const override {
    BlockSizes views;
    if (uses_blocks()) views.add(kBlock);
    return views;
  }
  std::vector<SharedPrefixIndex*> prefix_indexes() override {
    if (!uses_blocks()) return {};
    return {&index_};
  }

  std::optional<Decision> pick(const PickContext& context) override {
    match(context);
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
    match(context);
    CostEstimate best = estimate(context.candidates.front(), context);
    for (const EndpointId id : context.candidates.subspan(1)) {
      const CostEstimate other = estimate(id, context);
      if (other.cost() < best.cost()) best = other;
    }
    return from_seconds(best.prefill_seconds);
  }

  void first_token(RequestId request, TimePoint now) override { cost_.first_token(request, now); }
  void ended(RequestId request, TimePoint now) override { cost_.ended(request, now); }

  void endpoint_replaced(EndpointId endpoint) override { index_->forget(endpoint); }

 private:
  bool uses_blocks() const { return knowledge_ == PrefixKnowledge::kApproximate; }

  // Before estimates of this request.
  void match(const PickContext& context) {
    if (!uses_blocks()) return;
    index_->match(context.request.view(kBlock), context.candidates, matched_);
  }

  CostEstimate estimate(EndpointId endpoint, const PickContext& context) {
    const Request& request = context.request;
    return cost_.estimate(endpoint, request, cached_tokens(endpoint, request), context.now);
  }

  uint32_t cached_tokens(EndpointId endpoint, const Request& request) const {
    const uint64_t blocks = matched_[index_of(endpoint)];
    const uint64_t tokens =
        request.prompt_bytes == 0
            ? kTokensPerBlock * blocks
            : request.prompt_tokens * kPromptBytesPerBlock * blocks / request.prompt_bytes;
    return static_cast<uint32_t>(std::min<uint64_t>(tokens, request.prompt_tokens));
  }

  void book(const Decision& decision, const PickContext& context) {
    const EndpointId endpoint = decision.endpoint;
    cost_.book(endpoint, context.request, decision.predicted_prefill, context.fleet, context.now);
    if (!uses_blocks()) return;
    const uint64_t tokens = cost_.kv_tokens(endpoint, context.fleet);
    index_->set_capacity(endpoint, tokens > 0 ? tokens / kTokensPerBlock
                                              : PrefixIndexOptions::kDefaultCapacityBlocks);
    index_->insert(endpoint, context.request.view(kBlock));
  }

  const PrefixKnowledge knowledge_;
  PredictedCost cost_;
  SharedPrefixIndex index_;
  std::vector<uint32_t> matched_;  // blocks of the request in hand, by endpoint
  Rotation rotation_;
};

}  // namespace

std::unique_ptr<Policy> make_predicted_cost_policy(size_t endpoints, const EngineProfile& profile,
                                                   PrefixKnowledge knowledge, Duration full_wait) {
  return std::make_unique<PredictedCostPolicy>(endpoints, profile, knowledge, full_wait);
}

}  // namespace kvasir
