// The kinds of plugin that an EndpointPickerConfig names. One object may be of several kinds.
//
// The scheduler calls every method under its mutex: no plugin needs a lock, and none may block or
// allocate in steady state. filter() and score() are const; state changes only in pick(), produce()
// and the hooks.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "model/decision.h"
#include "model/request.h"
#include "scheduling/answer_origin.h"
#include "scheduling/cycle.h"
#include "scheduling/shared_state.h"

namespace kvasir {

class PluginContext;

// What one profile chose. `chosen` is empty when its filters left nobody.
struct ProfileResult {
  int profile = 0;                         // its place in the configuration
  std::span<const ScoredEndpoint> chosen;  // best first; the head of `scored`
  std::span<const ScoredEndpoint>
      scored;  // every candidate that was scored; beyond `chosen` in no order
};

// A number that a plugin shows.
struct PluginReading {
  std::string_view what;                    // upstream's word for it: "prefix_indexer_size"
  double value = 0;
  std::optional<EndpointId> endpoint = {};  // of which it is said
  std::string plugin_name = {};             // these two are filled in by the policy
  std::string plugin_type = {};
};

class Plugin {
 public:
  virtual ~Plugin() = default;

  // Called once, when every plugin of the configuration is made: for what may be there but need
  // not.
  virtual void connect(PluginContext& context) { static_cast<void>(context); }

  // Hooks. picked(): the request goes to the first chosen endpoint of profiles[0], the primary one;
  // the others that chose somebody follow. For each picked() ended() comes once; first_token() at
  // most once, before it.
  virtual void picked(const Cycle& cycle, std::span<const ProfileResult> profiles) {
    static_cast<void>(cycle), static_cast<void>(profiles);
  }
  virtual void first_token(RequestId request, TimePoint now) {
    static_cast<void>(request), static_cast<void>(now);
  }
  // The leg that prefills apart is over, before ended() or never: what is booked of it can go.
  virtual void prefill_ended(RequestId request, TimePoint now) {
    static_cast<void>(request), static_cast<void>(now);
  }
  virtual void ended(RequestId request, TimePoint now) {
    static_cast<void>(request), static_cast<void>(now);
  }

  // Whether it needs to hear first_token() and ended() when they happen.
  virtual bool watches_answers() const { return false; }
  // Adds what the client is to be told with an answer from there.
  virtual void add_answer_fields(const AnswerOrigin& origin, AnswerFields& fields) const {
    static_cast<void>(origin), static_cast<void>(fields);
  }
  // Adds numbers that are to be shown with the program's metrics.
  virtual void add_readings(std::vector<PluginReading>& readings) const {
    static_cast<void>(readings);
  }
  // The configuration was read anew: takes over the state of the plugin that had its name and type
  // until now. Called once, before any other hook; `predecessor` is not used afterwards. Returns
  // whether that includes its requests in flight: only then their first_token() and ended() come
  // here. Without it no hook is called for a request that was not picked() here.
  virtual bool inherit(Plugin& predecessor) {
    static_cast<void>(predecessor);
    return false;
  }
  // The slot belongs to another endpoint from now on: forget what was learned of the old one, but not what is
  // in flight there, for that still ends.
  virtual void endpoint_replaced(EndpointId endpoint) { static_cast<void>(endpoint); }

  // Several pickers may stand beside each other. Adds what the others should know to `part`; takes
  // in what they know.
  virtual void export_shared(const SharedExport& wanted, TimePoint now, SharedPart& part) {
    static_cast<void>(wanted), static_cast<void>(now), static_cast<void>(part);
  }
  virtual void import_shared(const SharedPart& part, const Snapshot& fleet, TimePoint now) {
    static_cast<void>(part), static_cast<void>(fleet), static_cast<void>(now);
  }
};

// Removes candidates, keeping the order of the others.
class Filter : public virtual Plugin {
 public:
  virtual void filter(const Cycle& cycle, std::vector<EndpointId>& candidates) const = 0;
  // Asked once, when it left none of the candidates: what an operator should know; may be empty.
  virtual std::string why_nobody(const Cycle& cycle) const {
    static_cast<void>(cycle);
    return {};
  }
};

// Gives each candidate a score from 0 to 1, higher is better: scores[i] is candidates[i]'s. Scores
// outside are clamped; NaN abstains (adds nothing). scores come in as zeros. Precondition: at least
// one candidate.
class Scorer : public virtual Plugin {
 public:
  virtual void score(const Cycle& cycle, std::span<const EndpointId> candidates,
                     std::span<double> scores) const = 0;

  // Whether its scores come from EngineMetrics, and so are as old as those.
  virtual bool reads_metrics() const { return false; }
};

// Brings the best endpoints to the front of `scored`, best first, and says how many are chosen (1
// at least).
// Precondition: `scored` is not empty and comes in the order of the ids.
class Picker : public virtual Plugin {
 public:
  virtual size_t pick(const Cycle& cycle, std::span<ScoredEndpoint> scored) = 0;
};

// Works out, once for each request and before any profile runs, what filters and scorers read. They
// hold a pointer to the producer's kind (producers.h has the built-in ones, registry.h says how to
// make another), never to the plugin itself.
class Producer : public virtual Plugin {
 public:
  virtual void produce(const Cycle& cycle) = 0;
};

// Predicts how long a request takes, in seconds of the policy's clock.
class WorkPredictor : public virtual Plugin {
 public:
  // Of the request's prefill, on the candidate that suits it best. After produce(); books nothing.
  virtual Duration predicted_prefill(const Cycle& cycle) = 0;
  // Fills in what is predicted of the endpoint that was just picked: the wait and the prefill.
  virtual void predict(Decision& decision) const = 0;
};

// Decides which profiles run, and what their results mean.
class ProfileHandler : public virtual Plugin {
 public:
  // The index of the profile to run next, given what ran already (in that order); -1: none. No
  // profile runs twice.
  virtual int next(const Cycle& cycle, std::span<const ProfileResult> done) const = 0;
  // The index in `done` of the primary result; -1: the request is refused.
  virtual int primary(const Cycle& cycle, std::span<const ProfileResult> done) const = 0;
  // The index in `done` of the result that names the endpoint to prefill on; -1: the primary one
  // prefills.
  virtual int prefill(const Cycle& cycle, std::span<const ProfileResult> done) const {
    static_cast<void>(cycle), static_cast<void>(done);
    return -1;
  }
};

// Whether a stage of a request is worth an endpoint of its own. Used by profile handlers, by name.
class StageDecider : public virtual Plugin {
 public:
  static constexpr std::string_view kKind = "stage-decisions";

  // `decode`: where the request will decode; nullopt: not known yet.
  virtual bool separate(const Cycle& cycle, std::optional<EndpointId> decode) const = 0;
};

}  // namespace kvasir
