// Hears other replicas on the server of one thread, beside ext_proc: one port for both.
//
// Messages are read on that thread and handed to the sink on its own. Whoever reaches the port may
// speak: what a message can do is bounded (wire/replica_sync.h, ReplicaSyncOptions).
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <unordered_set>

#include "net/grpc_server.h"
#include "wire/replica_sync.h"

namespace kvasir {

class EventLoop;

// Called on the home loop.
class ReplicaSink {
 public:
  virtual ~ReplicaSink() = default;
  virtual void on_message(ReplicaMessage message) = 0;
  virtual void on_speaker_gone(uint64_t origin) = 0;
  virtual void on_not_understood(const std::string& why) = 0;
};

class ReplicaReceiver final : public GrpcService {
 public:
  static constexpr char kPath[] = "/kvasir.v1.ReplicaSync/Exchange";
  static constexpr size_t kSpeakersMax = 256;  // at once; more are refused
  // Messages read and not yet handed over; more are dropped, which the next ones make good.
  static constexpr size_t kWaitingMax = 256;

  // `home`: the sink's loop. `own_id`: of this process; whoever sends it is told so (status OK) and
  // need not call again. All must outlive the receiver.
  ReplicaReceiver(EventLoop& home, ReplicaSink& sink, uint64_t own_id);
  ~ReplicaReceiver() override;

  void on_call(GrpcCall& call) override;
  // Ends all calls and refuses new ones: the server is to be drained. On the server's thread.
  void drain();

 private:
  class Speaker;

  void hand_over(ReplicaMessage message);
  void remove(Speaker& speaker);

  EventLoop& home_;
  ReplicaSink& sink_;
  const uint64_t own_id_;
  std::unordered_set<Speaker*> speakers_;
  std::atomic<size_t> waiting_{0};
  bool draining_ = false;
};

}  // namespace kvasir
