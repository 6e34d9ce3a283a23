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

namespace kvasir {

class DecisionTrace;
struct Snapshot;

struct PickContext {
  const Request& request;
  const Snapshot& fleet;
  std::span<const EndpointId>
      candidates;  // at least one; healthy, not tried before for this request
  TimePoint now{};
  DecisionTrace* trace = nullptr;  // filled when there is one
};

// The scheduler calls every method under its mutex, so an implementation needs no lock of its own;
// it must not block. pick() books what it needs in the same step; first_token() and ended() release
// it. For each pick ended() is called once; first_token() at most once, before it.
class Policy {
 public:
  virtual ~Policy() = default;

  // nullopt: it refuses every candidate.
  virtual std::optional<Decision> pick(const PickContext& context) = 0;
  virtual void first_token(RequestId request, TimePoint now) = 0;
  virtual void ended(RequestId request, TimePoint now) = 0;

  // Bytes of prompt in a block, when the policy wants Request::blocks; 0 when it does not.
  virtual size_t prompt_bytes_per_block() const { return 0; }

  // Whether first_token() and ended() change anything it decides by.
  virtual bool watches_answers() const { return true; }
  // Adds header fields that the client is to get with an answer from `endpoint`.
  virtual void add_answer_fields(const Endpoint& endpoint, AnswerFields& fields) const {
    static_cast<void>(endpoint), static_cast<void>(fields);
  }
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
