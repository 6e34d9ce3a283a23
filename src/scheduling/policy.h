// A Policy: a named way to route. Among the candidates it names the endpoint that gets the request,
// and books the load there. The built-in ones (src/plugins/*_policy) are whole in themselves; a
// ConfiguredPolicy is made of the filters, scorers and pickers of an EndpointPickerConfig.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/clock.h"
#include "model/decision.h"
#include "model/request.h"
#include "scheduling/plugin.h"
#include "scheduling/refusal.h"
#include "scheduling/remote_source.h"
#include "scheduling/saturation.h"
#include "scheduling/wanted_knowledge.h"

namespace kvasir {

class DecisionTrace;
class SharedPrefixIndex;
struct Snapshot;

struct PickContext {
  const Request& request;
  const Snapshot& fleet;
  std::span<const EndpointId> candidates;  // at least one; not tried before for this request
  TimePoint now{};
  DecisionTrace* trace = nullptr;  // filled when there is one
  std::span<const EndpointId> avoided = {};  // no candidates for now: something failed there lately
  // The same pick again, right after its filters left nobody: now the candidates are of every rank
  // (EndpointState), and each profile takes the best that its filters leave, as the scheduler does
  // of the whole fleet. A profile that found somebody does not run again.
  bool widened = false;
  std::span<const EndpointId> tried = {};  // when widened: who failed this request
};

struct PoolContext {
  const Snapshot& fleet;
  std::span<const EndpointId> endpoints;  // at least one; healthy
  TimePoint now{};
};

// The scheduler calls every method under its mutex, so an implementation needs no lock of its own;
// it must not block. pick() books what it needs in the same step; first_token() and ended() release
// it. For each pick ended() is called once; first_token() at most once, before it.
class Policy {
 public:
  virtual ~Policy() = default;

  // nullopt: it refuses, and refusal() tells why.
  virtual std::optional<Decision> pick(const PickContext& context) = 0;
  virtual Refusal refusal() const { return Refusal::kFiltered; }  // of the last pick()
  virtual void first_token(RequestId request, TimePoint now) = 0;
  virtual void ended(RequestId request, TimePoint now) = 0;
  // The leg at Decision::prefill is over; at most once, before ended().
  virtual void prefill_ended(RequestId request, TimePoint now) {
    static_cast<void>(request), static_cast<void>(now);
  }

  // How full these endpoints are (the caller fills in how many they are). A policy that does not measure it is never
  // saturated.
  virtual PoolSaturation saturation(const PoolContext& context) {
    static_cast<void>(context);
    return {};
  }
  // Model time of the request's prefill on the endpoint that pick() would name; 0: not predicted. Books nothing.
  virtual Duration predicted_prefill(const PickContext& context) {
    static_cast<void>(context);
    return Duration::zero();
  }
  // The slot belongs to another endpoint from now on: what was learned of the old one is void. Requests that run there
  // still end, each once, so what they booked stays until then.
  virtual void endpoint_replaced(EndpointId endpoint) { static_cast<void>(endpoint); }

  // Whether an answer could come from there, as far as its role says.
  virtual bool may_answer(const Endpoint& endpoint) const {
    static_cast<void>(endpoint);
    return true;
  }

  // The block sizes in which it reads the prompt (Request::views).
  virtual BlockSizes prompt_views() const { return {}; }

  // The prefix indexes it uses, for the pool to put its own in their place: never null.
  virtual std::vector<SharedPrefixIndex*> prefix_indexes() { return {}; }

  // Whether first_token() and ended() change anything it decides by.
  virtual bool watches_answers() const { return true; }
  // Adds header fields that the client is to get with an answer from there.
  virtual void add_answer_fields(const AnswerOrigin& origin, AnswerFields& fields) const {
    static_cast<void>(origin), static_cast<void>(fields);
  }
  // What its plugins show with the program's metrics.
  virtual std::vector<PluginReading> readings() const { return {}; }
  // What is to be asked before pick(), for Request::remote_scores.
  virtual std::vector<RemoteSource> remote_sources() const { return {}; }
  // What is to be known exactly.
  virtual WantedKnowledge wanted_knowledge() const { return {}; }
  // It replaces `predecessor`, whose state it may take over. Called once, before any pick.
  virtual void inherit(Policy& predecessor) { static_cast<void>(predecessor); }

  // What the other replicas of this process should know; parts that say nothing are left out.
  virtual SharedState export_shared(const SharedExport& wanted, TimePoint now) {
    static_cast<void>(wanted), static_cast<void>(now);
    return {};
  }
  // What they know. Who is not named in `state` has no load elsewhere.
  virtual void import_shared(const SharedState& state, const Snapshot& fleet, TimePoint now) {
    static_cast<void>(state), static_cast<void>(fleet), static_cast<void>(now);
  }
};

}  // namespace kvasir
