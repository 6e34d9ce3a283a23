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
#include "replicas/replica_probe.h"
#include "serving/pool_probe.h"

namespace kvasir {

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
