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
  // The picker's own work on one message of an answer.
  virtual void on_answer_processed(Duration took) = 0;
  // The certificate's files changed: `error` is empty when new connections get the new one.
  virtual void on_certificate_read(std::string_view error) { static_cast<void>(error); }
};

}  // namespace kvasir
