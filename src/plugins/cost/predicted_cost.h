// The predicted cost of a request on an endpoint, in seconds: what predicted-cost-picker decides by,
// and so the policies kv and load-cost. The formula: plugins/cost/predicted_cost_picker.h.
//
// Not thread-safe: it lives under the scheduler's mutex. Times never run backwards.
#pragma once

#include <cstdint>
#include <span>

#include "base/clock.h"
#include "model/endpoint.h"
#include "model/request.h"
#include "plugins/cost/work_ledger.h"
#include "scheduling/saturation.h"
#include "timing/engine_profile.h"
#include "timing/learned_scale.h"
#include "timing/step_model.h"

namespace kvasir {

struct Snapshot;

// What the request would meet on one endpoint.
struct CostEstimate {
  static constexpr double kOwnPrefillWeight = 2;
  static constexpr double kDecodeStallWeight = 0.02;

  uint32_t cached_tokens = 0;
  double wait_seconds = 0;
  double prefill_seconds = 0;
  uint32_t decoding = 0;

  double cost() const {
    return wait_seconds + (kOwnPrefillWeight + kDecodeStallWeight * decoding) * prefill_seconds;
  }
};

class PredictedCost {
 public:
  // `full_wait`: an endpoint with this much work ahead of it is full.
  // Precondition: it is above 0, the profile has a token budget and step times.
  PredictedCost(size_t endpoints, const EngineProfile& profile, Duration full_wait);

  // `cached_tokens`: of the request's prompt on that endpoint, never more than the prompt.
  // `besides`: what decodes there and was not booked here.
  CostEstimate estimate(EndpointId endpoint, const Request& request, uint32_t cached_tokens,
                        TimePoint now, const DecodeLoad& besides = {});

  // The work ahead of whoever comes there now.
  Duration wait(EndpointId endpoint, TimePoint now) { return ledger_.wait(endpoint, now); }

  // How full the pool is: the least wait of the endpoints, `full_wait` of it being full.
  PoolSaturation saturation(std::span<const EndpointId> endpoints, TimePoint now);

  // Tokens of the endpoint's KV cache: as it reports, else as the profile says; 0: not known.
  uint64_t kv_tokens(EndpointId endpoint, const Snapshot& fleet) const;

  // What `other`, which is not used afterwards, has booked and learnt. False: it is of another
  // fleet, and nothing was taken.
  bool take_over(PredictedCost& other);

  // The request goes there. Precondition: it is not booked.
  void book(EndpointId endpoint, const Request& request, Duration prefill, const Snapshot& fleet,
            TimePoint now);
  // Of a booked request. The first one teaches the scale.
  void first_token(RequestId request, TimePoint now);
  // Of a booked request that decodes elsewhere: its prefill is over, well or not, and it is booked
  // no longer. Teaches the scale, unless it took so little that it can only have failed.
  void prefill_ended(RequestId request, TimePoint now);
  void ended(RequestId request, TimePoint now);

 private:
  const uint32_t budget_;
  const uint64_t profile_kv_tokens_;
  const Duration full_wait_;
  const StepModel model_;
  LearnedScale scale_;
  WorkLedger ledger_;
};

}  // namespace kvasir
