#include "epp/replica_receiver.h"

#include <utility>

#include "net/event_loop.h"

namespace kvasir {

// One call. Owns itself: deleted when it is over.
class ReplicaReceiver::Speaker final : public GrpcCall::Observer {
 public:
  Speaker(ReplicaReceiver& receiver, GrpcCall& call) : receiver_(receiver), call_(call) {}

  void on_message(std::string_view bytes) override {
    Result<ReplicaMessage> message = read_replica_message(bytes);
    if (!message) {
      receiver_.home_.post([&sink = receiver_.sink_, why = message.error().message] {
        sink.on_not_understood(why);
      });
      return finish(GrpcCode::kInvalidArgument, message.error().message);
    }
    if (message->origin == receiver_.own_id_) {
      return finish(GrpcCode::kOk, "this is the replica that calls");
    }
    origin_ = message->origin;
    receiver_.hand_over(std::move(*message));
  }
  void on_half_close() override { finish(GrpcCode::kOk, {}); }
  void on_gone() override { receiver_.remove(*this); }

  void finish(GrpcCode code, std::string_view message) {
    call_.finish(code, message);
    receiver_.remove(*this);
  }
  uint64_t origin() const { return origin_; }

 private:
  ReplicaReceiver& receiver_;
  GrpcCall& call_;
  uint64_t origin_ = 0;  // 0: it has not spoken
};

ReplicaReceiver::ReplicaReceiver(EventLoop& home, ReplicaSink& sink, uint64_t own_id)
    : home_(home), sink_(sink), own_id_(own_id) {}

ReplicaReceiver::~ReplicaReceiver() {
  for (Speaker* speaker : speakers_) delete speaker;
}

void ReplicaReceiver::on_call(GrpcCall& call) {
  if (draining_) return call.finish(GrpcCode::kUnavailable, "this replica is going away");
  if (speakers_.size() >= kSpeakersMax) {
    return call.finish(GrpcCode::kResourceExhausted, "too many replicas");
  }
  auto* speaker = new Speaker(*this, call);
  speakers_.insert(speaker);
  call.set_observer(*speaker);
}

void ReplicaReceiver::drain() {
  draining_ = true;
  while (!speakers_.empty()) {
    (*speakers_.begin())->finish(GrpcCode::kUnavailable, "this replica is going away");
  }
}

void ReplicaReceiver::hand_over(ReplicaMessage message) {
  if (waiting_ >= kWaitingMax) return;
  ++waiting_;
  home_.post([this, message = std::move(message)]() mutable {
    --waiting_;
    sink_.on_message(std::move(message));
  });
}

void ReplicaReceiver::remove(Speaker& speaker) {
  if (const uint64_t origin = speaker.origin(); origin != 0) {
    home_.post([&sink = sink_, origin] { sink.on_speaker_gone(origin); });
  }
  speakers_.erase(&speaker);
  delete &speaker;
}

}  // namespace kvasir
