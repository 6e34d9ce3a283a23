// What the picker reports of itself. apps/ turns it into metrics, logs and the decision log. Called
// from every thread of the picker: implementations are thread-safe and do not block. Views are
// valid during the call.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "model/decision.h"
#include "model/request.h"
#include "net/grpc/grpc_server.h"
#include "serving/pool_probe.h"

namespace kvasir {

class DecisionTrace;
struct Snapshot;

// Whose request it is, in the words of the metrics.
struct RequestLabels {
  std::string_view request_id;
  std::string_view model;         // as the client wrote it
  std::string_view target_model;  // as the endpoint gets it
  std::string_view fairness_id;
  std::string_view objective;
  int32_t priority = 0;
};

// An endpoint was chosen.
struct PickReport {
  RequestLabels labels;
  const Snapshot& fleet;  // the one that the names of endpoints stand in
  const Decision& decision;
  const DecisionTrace& trace;
  uint64_t request_bytes = 0;
  uint64_t prompt_bytes = 0;  // that prompt_tokens were counted in; 0: not known
  uint32_t prompt_tokens = 0;
  bool prompt_known = false;  // the request was parsed: cached_tokens means something
  Duration scheduling{};      // in the scheduler
  Duration processing{};      // from the last byte of the request to the decision, waiting included
  Duration held{};            // by flow control
};

// No endpoint was chosen.
struct RefusalReport {
  RequestLabels labels;
  int status = 0;
  std::string_view code;    // upstream's word: ResourceExhausted, ...
  std::string_view reason;  // x-llm-d-request-dropped-reason; may be empty
  std::string_view text;
  uint64_t request_bytes = 0;
  Duration scheduling{};  // 0: it never came to the scheduler
  Duration processing{};  // from the last byte of the request, as for a pick; 0: it was served
  const DecisionTrace* trace = nullptr;
};

enum class Ending : uint8_t { kNatural, kClientGone, kError, kNotWatched };

// The answer to a request that was sent on is over.
struct EndReport {
  RequestLabels labels;
  std::string_view endpoint_name;  // where it was sent
  int status = 0;  // of the answer; 0: it never came
  Ending ending = Ending::kNatural;
  bool streaming = false;
  Duration total{};                     // from the request's first byte
  std::optional<Duration> first_token;  // the same, to the first byte of the answer's body
  uint64_t answer_bytes = 0;
  Duration processing{};  // the picker's own work on all of its messages
  // From the answer's usage; nullopt: it did not say.
  std::optional<uint32_t> prompt_tokens;
  std::optional<uint32_t> completion_tokens;
  std::optional<uint32_t> cached_tokens;
};

// Why the stream of a replica, or of whoever called itself one, was ended.
enum class ReplicaRefusal : uint8_t {
  kUnproven,       // it does not know the secret
  kNotUnderstood,  // it does, and what it says is not understood
  kTooMany,
};

// Of other replicas of the picker; `others`: how many are listened to now.
class ReplicaProbe {
 public:
  virtual ~ReplicaProbe() = default;
  virtual void on_replica_found(uint64_t origin, size_t others) {
    static_cast<void>(origin), static_cast<void>(others);
  }
  virtual void on_replica_lost(uint64_t origin, size_t others) {
    static_cast<void>(origin), static_cast<void>(others);
  }
  // Trouble with others, told once in a while.
  virtual void on_replica_trouble(std::string_view what) { static_cast<void>(what); }
  // Each stream that was ended.
  virtual void on_replica_refused(ReplicaRefusal reason) { static_cast<void>(reason); }
};

class EppProbe : public PoolProbe, public ReplicaProbe {
 public:
  virtual void on_stream_started() = 0;
  virtual void on_stream_ended(GrpcCode code, Duration took) = 0;
  virtual void on_picked(const PickReport& report) = 0;
  virtual void on_refused(const RefusalReport& report) = 0;
  // The picker's own work on one message of an answer.
  virtual void on_answer_processed(Duration took) = 0;
  virtual void on_ended(const EndReport& report) = 0;
  // The certificate's files changed: `error` is empty when new connections get the new one.
  virtual void on_certificate_read(std::string_view error) { static_cast<void>(error); }
};

}  // namespace kvasir
