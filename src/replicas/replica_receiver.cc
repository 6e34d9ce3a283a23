#include "replicas/replica_receiver.h"

#include <utility>

#include "net/io/event_loop.h"
#include "replicas/replica_session.h"

namespace kvasir {

// One call.
class ReplicaReceiver::Speaker final : public GrpcCall::Observer {
 public:
  Speaker(ReplicaReceiver& receiver, GrpcCall& call)
      : receiver_(receiver), call_(call), checker_(receiver.secret_) {
    timer_ = receiver_.loop_.after(receiver_.limits_.proof_timeout, [this] {
      timer_ = kNoTimer;
      refuse(ReplicaRefusal::kUnproven, GrpcCode::kUnauthenticated,
             "a stream did not prove in time that it knows the secret");
    });
  }
  ~Speaker() { receiver_.loop_.cancel(timer_); }
  Speaker(const Speaker&) = delete;
  Speaker& operator=(const Speaker&) = delete;

  void on_message(std::string_view bytes) override {
    if (checker_.origin() == 0) return greet(bytes);
    const bool is_first = !checker_.proven();
    const Result<std::string_view> opened = checker_.open(bytes);
    if (!opened) {
      return refuse(ReplicaRefusal::kUnproven, GrpcCode::kUnauthenticated,
                    "a stream is not heard: " + opened.error().message);
    }
    if (is_first && !receiver_.accept(*this)) return;
    receiver_.loop_.cancel(std::exchange(timer_, kNoTimer));
    Result<ReplicaMessage> message = read_replica_message(*opened);
    if (message && message->origin != checker_.origin()) {
      message = Error{"replica message: of another origin than its stream"};
    }
    if (!message) {
      return refuse(ReplicaRefusal::kNotUnderstood, GrpcCode::kInvalidArgument,
                    message.error().message);
    }
    receiver_.hand_over(std::move(*message));
  }
  void on_half_close() override { finish(GrpcCode::kOk, {}); }
  void on_gone() override { receiver_.remove(*this); }

  void finish(GrpcCode code, std::string_view message) {
    call_.finish(code, message);
    receiver_.remove(*this);
  }
  void refuse(ReplicaRefusal reason, GrpcCode code, const std::string& why) {
    receiver_.refuse(*this, reason, code, why);
  }
  uint64_t origin() const { return checker_.origin(); }
  bool proven() const { return checker_.proven(); }

  Speakers::iterator place;  // in the list that it is in

 private:
  void greet(std::string_view bytes) {
    const Result<std::string> challenge = checker_.challenge(bytes);
    if (!challenge) {
      return refuse(ReplicaRefusal::kUnproven, GrpcCode::kUnauthenticated,
                    "a stream is not heard: " + challenge.error().message);
    }
    if (checker_.origin() == receiver_.own_id_) {
      return finish(GrpcCode::kOk, "this is the replica that calls");
    }
    call_.send(*challenge);
  }

  ReplicaReceiver& receiver_;
  GrpcCall& call_;
  ReplicaChecker checker_;
  TimerId timer_ = kNoTimer;
};

ReplicaReceiver::ReplicaReceiver(EventLoop& loop, EventLoop& home, ReplicaSink& sink,
                                 uint64_t own_id, std::string_view secret,
                                 ReplicaReceiverLimits limits)
    : loop_(loop), home_(home), sink_(sink), own_id_(own_id), secret_(secret), limits_(limits) {}

ReplicaReceiver::~ReplicaReceiver() = default;

void ReplicaReceiver::on_call(GrpcCall& call) {
  if (draining_) return call.finish(GrpcCode::kUnavailable, "this replica is going away");
  if (strangers_.size() >= limits_.strangers) {
    refuse(strangers_.front(), ReplicaRefusal::kTooMany, GrpcCode::kResourceExhausted,
           "too many streams that have not proven that they know the secret");
  }
  Speaker& speaker = strangers_.emplace_back(*this, call);
  speaker.place = std::prev(strangers_.end());
  call.set_observer(speaker);
}

void ReplicaReceiver::drain() {
  draining_ = true;
  for (Speakers* list : {&strangers_, &speakers_}) {
    while (!list->empty()) {
      list->front().finish(GrpcCode::kUnavailable, "this replica is going away");
    }
  }
}

void ReplicaReceiver::hand_over(ReplicaMessage message) {
  if (waiting_ >= limits_.waiting) return;
  ++waiting_;
  home_.post([this, message = std::move(message)]() mutable {
    --waiting_;
    sink_.on_message(std::move(message));
  });
}

bool ReplicaReceiver::accept(Speaker& speaker) {
  speakers_.splice(speakers_.end(), strangers_, speaker.place);
  if (speakers_.size() <= limits_.speakers) return true;
  refuse(speaker, ReplicaRefusal::kTooMany, GrpcCode::kResourceExhausted, "too many replicas");
  return false;
}

void ReplicaReceiver::refuse(Speaker& speaker, ReplicaRefusal reason, GrpcCode code,
                             const std::string& why) {
  home_.post([&sink = sink_, reason, why] { sink.on_speaker_refused(reason, why); });
  speaker.finish(code, why);
}

void ReplicaReceiver::remove(Speaker& speaker) {
  Speakers& list = speaker.proven() ? speakers_ : strangers_;
  if (speaker.proven()) {
    home_.post([&sink = sink_, origin = speaker.origin()] { sink.on_speaker_gone(origin); });
  }
  list.erase(speaker.place);
}

}  // namespace kvasir
