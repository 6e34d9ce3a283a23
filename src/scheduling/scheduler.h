// Chooses an endpoint for a request and books the load on it in the same step, so that a burst spreads.
//
// Thread-safe: pick, book and release run under one short mutex. Used by the gateway with real time and by
// the simulations with virtual time.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "model/decision.h"
#include "model/request.h"

namespace kvasir {

class Fleet;
class Policy;
struct Snapshot;

enum class Refusal : uint8_t {
  kNone,
  kNoEndpoints,  // nobody is healthy, or everybody was tried
  kFiltered,     // the policy refused every candidate
};

struct Scheduled {
  Refusal refusal = Refusal::kNone;
  Decision decision;  // when nothing was refused

  bool ok() const { return refusal == Refusal::kNone; }
};

class Scheduler {
 public:
  // `fleet` and `clock` must outlive the scheduler. The clock is the policy's: model time.
  Scheduler(const Fleet& fleet, std::unique_ptr<Policy> policy, const Clock& clock);
  ~Scheduler();

  // Picks among the available endpoints (EndpointState) that are not in `tried`; when there is none, among healthy ones
  // that were ejected. Request::id must not be booked already.
  Scheduled schedule(const Request& request, std::span<const EndpointId> tried);

  // The first body byte of the answer was seen. Only for a request that schedule() placed.
  void first_token(RequestId request);
  // The request left its endpoint, for whatever reason. Exactly once for each schedule() that placed it.
  void ended(RequestId request);

  // Bytes of prompt in one of Request::blocks; 0 when the policy wants none.
  size_t prompt_bytes_per_block() const { return prompt_bytes_per_block_; }

 private:
  std::shared_ptr<const Snapshot> follow_fleet();

  const Fleet& fleet_;
  const Clock& clock_;
  const size_t prompt_bytes_per_block_;
  std::mutex mutex_;
  std::unique_ptr<Policy> policy_;
  uint64_t generation_;                 // of the membership that the policy knows,
  std::vector<uint64_t> owned_since_;   // and of each slot its EndpointState::owned_since
  std::vector<EndpointId> candidates_;  // scratch, under the mutex
};

}  // namespace kvasir
