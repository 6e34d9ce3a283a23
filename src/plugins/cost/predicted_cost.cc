#include "plugins/cost/predicted_cost.h"

#include <algorithm>

#include "base/assert.h"
#include "fleet/fleet.h"

namespace kvasir {
namespace {

// Whatever the prompt and the profile say: a hundred thousand of them can be added up.
constexpr double kLongestPrefillSeconds = 3600;

// A prefill that was over in this share of the predicted time failed.
constexpr double kFailedShare = 0.1;

}  // namespace

PredictedCost::PredictedCost(size_t endpoints, const EngineProfile& profile, Duration full_wait)
    : budget_(profile.max_num_batched_tokens),
      profile_kv_tokens_(profile.kv_tokens),
      full_wait_(full_wait),
      model_(profile.step),
      ledger_(endpoints, profile.max_num_seqs) {
  KVASIR_ASSERT(budget_ > 0, "the profile has a token budget");
  KVASIR_ASSERT(full_wait_ > Duration::zero(), "an idle endpoint is not full");
}

CostEstimate PredictedCost::estimate(EndpointId endpoint, const Request& request,
                                     uint32_t cached_tokens, TimePoint now,
                                     const DecodeLoad& besides) {
  DecodeLoad load = ledger_.decoding(endpoint, now);
  load.rows += besides.rows;
  load.kv_tokens += besides.kv_tokens;
  CostEstimate result;
  result.cached_tokens = cached_tokens;
  result.wait_seconds = to_seconds(ledger_.wait(endpoint, now));
  result.prefill_seconds = std::min(
      kLongestPrefillSeconds,
      scale_.value() *
          model_.prefill_seconds(std::max(request.prompt_tokens, 1u), cached_tokens, budget_, load));
  result.decoding = load.rows;
  return result;
}

PoolSaturation PredictedCost::saturation(std::span<const EndpointId> endpoints, TimePoint now) {
  Duration least = Duration::max();
  PoolSaturation result;
  for (const EndpointId id : endpoints) {
    least = std::min(least, ledger_.wait(id, now));
    const auto falls = ledger_.until_wait_is(id, full_wait_ - Duration(1), now);
    if (falls && (!result.falls_in || *falls < *result.falls_in)) result.falls_in = falls;
  }
  result.decode = to_seconds(least) / to_seconds(full_wait_);
  return result;
}

uint64_t PredictedCost::kv_tokens(EndpointId endpoint, const Snapshot& fleet) const {
  return fleet.endpoints[index_of(endpoint)].kv_capacity_tokens.value_or(profile_kv_tokens_);
}

bool PredictedCost::take_over(PredictedCost& other) {
  if (!ledger_.take_over(other.ledger_)) return false;
  scale_ = other.scale_;
  return true;
}

void PredictedCost::book(EndpointId endpoint, const Request& request, Duration prefill,
                         const Snapshot& fleet, TimePoint now) {
  const uint64_t capacity = kv_tokens(endpoint, fleet);
  if (capacity > 0) ledger_.set_kv_capacity(endpoint, capacity);
  ledger_.book(endpoint,
               PendingWork{request.id, prefill, request.prompt_tokens, request.first_token_visible},
               now);
}

void PredictedCost::first_token(RequestId request, TimePoint now) {
  const auto observation = ledger_.first_token(request, now);
  if (observation) scale_.observe(observation->predicted, observation->actual);
}

void PredictedCost::prefill_ended(RequestId request, TimePoint now) {
  const auto observation = ledger_.first_token(request, now);
  if (observation &&
      to_seconds(observation->actual) >= kFailedShare * to_seconds(observation->predicted)) {
    scale_.observe(observation->predicted, observation->actual);
  }
  ledger_.ended(request, now);
}

void PredictedCost::ended(RequestId request, TimePoint now) {
  ledger_.ended(request, now);
}

}  // namespace kvasir
