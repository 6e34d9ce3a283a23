// Chooses an endpoint for a request and books the load on it in the same step, so that a burst
// spreads.
//
// Thread-safe: pick, book and release run under one short mutex. Used by the gateway with real time
// and by the simulations with virtual time.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/decision.h"
#include "model/request.h"
#include "scheduling/answer_origin.h"
#include "scheduling/pool_knowledge.h"
#include "scheduling/refusal.h"
#include "scheduling/saturation.h"
#include "scheduling/shared_state.h"

namespace kvasir {

class DecisionTrace;
class Fleet;
class Policy;
struct Endpoint;
struct PluginReading;
struct Snapshot;

// Who may be chosen, and who wants to know how.
struct Choice {
  std::span<const EndpointId> tried = {};  // not again
  // Only these, ascending (a gateway's subset); nullopt: everybody.
  std::optional<std::span<const EndpointId>> allowed = {};
  DecisionTrace* trace = nullptr;
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

  // Picks among the available endpoints (EndpointState); when there is none, among healthy ones
  // that were ejected; when nobody is healthy, among those that take connections. The same holds of
  // those that a profile's filters leave, as of one role. Request::id must not be booked already.
  Scheduled schedule_among(const Request& request, const Choice& choice);
  Scheduled schedule(const Request& request, std::span<const EndpointId> tried) {
    return schedule_among(request, Choice{tried, {}, nullptr});
  }

  // A request failed there. For so long it is picked only when there is nobody else, or when this is true of more than
  // half of the candidates: failing is quick, and leaves an endpoint idle that must not be taken for a fast one.
  void avoid(EndpointId endpoint, Duration time);
  // Its engine holds nothing any more: it began anew, or was told to forget. What was sent there
  // before counts no more.
  void forget_cache(EndpointId endpoint);
  // Whether there is a healthy endpoint that `choice` leaves, and that could answer.
  bool has_healthy(const Choice& choice);

  // The first body byte of the answer was seen. Only for a request that schedule() placed.
  void first_token(RequestId request);
  // The leg at Decision::prefill of a request that schedule() placed is over, for whatever reason.
  // At most once, before ended().
  void prefill_ended(RequestId request);
  // The request left its endpoint, for whatever reason. Exactly once for each schedule() that
  // placed it.
  void ended(RequestId request);

  // How full the pool of endpoints is that would be picked among.
  PoolSaturation saturation();
  // Model time that the prompt would take on the endpoint that suits it best; 0: there is none, or the policy does not
  // predict. Books nothing.
  Duration predicted_prefill(const Request& request);

  // `released` is called after each first_token(), prefill_ended() and ended(), on the caller's
  // thread and without the mutex: there may be room for another request. Set once, before the first
  // request.
  void set_release_listener(std::function<void()> released) { released_ = std::move(released); }

  // The block sizes in which the policy reads the prompt (Request::views). Takes no lock: while
  // another policy takes over, it may name sizes of both.
  BlockSizes prompt_views() const;
  // Whether the policy needs first_token() and ended() when they happen; else they may come early.
  bool watches_answers() const { return watches_answers_; }
  // Header fields that the client is to get with an answer from there.
  AnswerFields answer_fields(const AnswerOrigin& origin);
  AnswerFields answer_fields(const Endpoint& endpoint) {
    return answer_fields(AnswerOrigin{endpoint});
  }

  // What plugins show with the program's metrics.
  std::vector<PluginReading> plugin_readings();

  // From now on `policy` picks, with the prefix indexes of the pool and what else it can take over
  // of the state of the one before. Requests
  // in flight go on. A request whose prompt was hashed before has no view of a new block size, and
  // matches nothing.
  void replace_policy(std::unique_ptr<Policy> policy);

  // What other replicas of this picker should know of it, and what they know: all load that they
  // have in flight, and sessions that they bound. See shared_state.h.
  SharedState export_shared(const SharedExport& wanted);
  void import_shared(const SharedState& state);

 private:
  struct Avoided {
    EndpointId endpoint;
    TimePoint until;
  };

  std::shared_ptr<const Snapshot> follow_fleet();
  void leave_out_avoided(TimePoint now);
  bool take_all_ranks(const Snapshot& fleet, const Choice& choice);
  void put_to_work();

  const Fleet& fleet_;
  const Clock& clock_;
  std::array<std::atomic<BlockSize>, kPromptViewsMost> prompt_views_{};  // 0 units: no more
  std::atomic<bool> watches_answers_ = true;
  std::function<void()> released_;  // may be empty
  std::mutex mutex_;
  PoolKnowledge knowledge_;
  std::unique_ptr<Policy> policy_;
  uint64_t generation_;                 // of the membership that the policy knows,
  std::vector<uint64_t> owned_since_;   // and of each slot its EndpointState::owned_since
  std::vector<Avoided> avoided_;        // each endpoint once; most often empty
  std::vector<EndpointId> candidates_;  // scratch, under the mutex
  std::vector<EndpointId> left_out_;    // scratch: those of avoided_ that were candidates
};

}  // namespace kvasir
