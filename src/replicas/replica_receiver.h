// Hears other replicas on the server of one thread, beside ext_proc: one port for both.
//
// Only who proves that it knows the secret is heard (replicas/replica_session.h), and each stream
// speaks for one origin. Messages are read on that thread and handed to the sink on its own. What a
// message can do is bounded (wire/replica_sync.h, ReplicaSyncOptions).
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "net/grpc/grpc_server.h"
#include "replicas/replica_probe.h"
#include "wire/replica_sync.h"

namespace kvasir {

class EventLoop;

// Of one thread.
struct ReplicaReceiverLimits {
  size_t speakers = 256;  // streams that have proven themselves; more are refused
  // Streams that have not yet: of more, the one that waits longest is ended, so that strangers who
  // say nothing cannot keep a replica out.
  size_t strangers = 64;
  Duration proof_timeout = std::chrono::seconds(5);
  // Messages read and not yet handed over; more are dropped, which the next ones make good.
  size_t waiting = 256;
};

// Called on the home loop.
class ReplicaSink {
 public:
  virtual ~ReplicaSink() = default;
  virtual void on_message(ReplicaMessage message) = 0;
  virtual void on_speaker_gone(uint64_t origin) = 0;
  // A stream was ended.
  virtual void on_speaker_refused(ReplicaRefusal reason, const std::string& why) = 0;
};

class ReplicaReceiver final : public GrpcService {
 public:
  static constexpr char kPath[] = "/kvasir.v1.ReplicaSync/Exchange";

  // `loop`: of the server. `home`: the sink's. `own_id`: of this process; whoever sends it is told
  // so (status OK) and need not call again. All must outlive the receiver.
  ReplicaReceiver(EventLoop& loop, EventLoop& home, ReplicaSink& sink, uint64_t own_id,
                  std::string_view secret, ReplicaReceiverLimits limits = {});
  ~ReplicaReceiver() override;

  void on_call(GrpcCall& call) override;
  // Ends all calls and refuses new ones: the server is to be drained. On the server's thread.
  void drain();

 private:
  class Speaker;
  using Speakers = std::list<Speaker>;  // the oldest first

  void hand_over(ReplicaMessage message);
  void refuse(Speaker& speaker, ReplicaRefusal reason, GrpcCode code, const std::string& why);
  // Moves it to those that are heard; false: there are too many, and it was ended.
  bool accept(Speaker& speaker);
  void remove(Speaker& speaker);

  EventLoop& loop_;
  EventLoop& home_;
  ReplicaSink& sink_;
  const uint64_t own_id_;
  const std::string secret_;
  const ReplicaReceiverLimits limits_;
  Speakers strangers_;
  Speakers speakers_;
  std::atomic<size_t> waiting_{0};
  bool draining_ = false;
};

}  // namespace kvasir
