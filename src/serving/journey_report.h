// What is reported of a request at a Pool, by gateway and picker alike: metrics and the decision
// log are made of it. Views are valid during the call.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "model/decision.h"
#include "model/endpoint.h"

namespace kvasir {

class DecisionTrace;
struct Snapshot;

// The header that carries JourneyRefusal::dropped_reason.
inline constexpr std::string_view kDroppedReasonHeader = "x-llm-d-request-dropped-reason";
// ... when there is no endpoint to go to.
inline constexpr std::string_view kNoEndpointsReason = "rejected-no-endpoints";

// What the client of a refused request is told. See the table in flow/flow_outcome.cc.
struct JourneyRefusal {
  int status = 0;
  std::string_view code;            // upstream's word: ResourceExhausted, ...
  std::string_view dropped_reason;  // empty: the header is left out
  std::string_view text;
};

// Whose request it is, in the words of the metrics.
struct RequestLabels {
  std::string_view request_id;
  std::string_view model;         // as the client wrote it
  std::string_view target_model;  // as the endpoint gets it
  std::string_view fairness_id = "default-flow";
  std::string_view objective;
  int32_t priority = 0;
};

// An endpoint was chosen.
struct PickReport {
  RequestLabels labels;
  const Snapshot& fleet;  // the one that the names of endpoints stand in
  const Decision& decision;
  const DecisionTrace& trace;  // empty: there was no choice, or nobody asks how it came about
  uint32_t attempt = 1;        // on one endpoint after another
  bool prompt_known = false;   // the request was parsed: cached_tokens means something
  uint64_t request_bytes = 0;
  uint64_t prompt_bytes = 0;  // that prompt_tokens were counted in; 0: not known
  uint32_t prompt_tokens = 0;
  Duration scheduling{};  // in the scheduler, all attempts
  Duration processing{};  // from the last byte of the request to the decision, waiting included
  Duration held{};        // by flow control
  // How long ago the chosen endpoint's metrics were read; absent: never.
  std::optional<Duration> metrics_age = {};
};

// No endpoint was chosen, or the request had to leave it for the sake of another.
struct RefusalReport {
  RequestLabels labels;
  JourneyRefusal refusal;
  const DecisionTrace* trace = nullptr;  // null: it never came to the scheduler, or nobody asks
  Duration scheduling{};                 // 0: it never came to the scheduler
  Duration processing{};                 // as of a pick; 0: it was served
};

enum class Ending : uint8_t {
  kNatural,     // the whole answer passed, or the refusal did
  kClientGone,  // before that
  kError,       // the answer was cut
  kNotWatched,  // it is answered without us
};

// It is over, whatever became of it.
struct EndReport {
  RequestLabels labels;
  const Endpoint* endpoint = nullptr;  // where it was sent last; null: nowhere
  const Endpoint* prefill = nullptr;   // where its prompt was prefilled, when that is another one
  Duration prefill_time{};             // of that, from when the first prefill leg began
  bool scheduled = false;              // by the policy
  bool streaming = false;
  int status = 0;  // of the answer; 0: it never came
  Ending ending = Ending::kNatural;
  Duration total{};                    // from the request's first byte
  std::optional<Duration> first_byte;  // the same, to the first byte of the answer's body
  Duration preparing{};                // from the request's last byte to its admission
  Duration scheduling{};               // in the scheduler, all attempts
  Duration held{};                     // by flow control
  Duration processing{};               // the server's own work on the messages of the answer
  uint64_t answer_bytes = 0;
  // From the answer's usage; nullopt: it did not say.
  std::optional<uint32_t> prompt_tokens;
  std::optional<uint32_t> completion_tokens;
  std::optional<uint32_t> cached_tokens;
  // What was expected of that: by what the endpoint's engine said of its cache when it was picked;
  // nullopt: nothing exact was known, or another one prefilled or answered. Comparable when one
  // prompt got one answer.
  std::optional<uint32_t> predicted_cached_tokens;
};

// Called from every thread of a server: implementations are thread-safe and do not block.
class JourneyProbe {
 public:
  virtual ~JourneyProbe() = default;
  virtual void on_started() {}
  virtual void on_picked(const PickReport& report) { static_cast<void>(report); }
  virtual void on_refused(const RefusalReport& report) { static_cast<void>(report); }
  // An attempt goes there, and is over. The endpoint itself, not its slot, which may change hands
  // while a request runs.
  virtual void on_routed(const Endpoint& endpoint) { static_cast<void>(endpoint); }
  virtual void on_released(const Endpoint& endpoint) { static_cast<void>(endpoint); }
  // Once for each on_started().
  virtual void on_ended(const EndReport& report) { static_cast<void>(report); }
};

}  // namespace kvasir
