#include "kvmanager/hand_over.h"

#include <algorithm>
#include <utility>

#include "net/http/http_status.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

HttpClientLimits limits_of(const HandOverOptions& options) {
  HttpClientLimits limits;
  limits.first_byte_timeout = limits.idle_timeout = options.answer_timeout;
  return limits;
}

}  // namespace

struct HandOver::Question {
  Question(EventLoop& loop, const PeerWatch::PeerAddress& peer, const HandOverOptions& options)
      : client(loop, peer.address, limits_of(options)),
        query(client, peer.origin, options.bytes_max) {}

  HttpClient client;
  HttpQuery query;
};

HandOver::HandOver(EventLoop& loop, HandOverOptions options, Peers peers, Offer offer)
    : loop_(loop),
      options_(options),
      peers_(std::move(peers)),
      offer_(std::move(offer)),
      begun_(loop.now()),
      pause_(options.first_pause),
      job_(loop) {
  wait();
}

HandOver::~HandOver() {
  loop_.cancel(timer_);
}

void HandOver::wait() {
  timer_ = loop_.after(pause_, [this] { begin_round(); });
  pause_ = std::min<Duration>(pause_ * 2, options_.pause_max);
}

void HandOver::begin_round() {
  to_ask_ = peers_();
  best_.reset();
  best_publishers_ = 0;
  ask_next();
}

void HandOver::ask_next() {
  if (to_ask_.empty()) return end_round();
  question_ = std::make_unique<Question>(loop_, to_ask_.back(), options_);
  to_ask_.pop_back();
  question_->query.get("/api/v1/cache/dump",
                       [this](Result<HttpAnswer> answer) { on_answer(std::move(answer)); });
}

// Who does not answer is no trouble: PeerWatch says so.
void HandOver::on_answer(Result<HttpAnswer> answer) {
  const bool read = answer && answer->head.status() == kHttpOk &&
                    job_.start([this, body = std::move(answer->body)]() -> BackgroundJob::Use {
                      auto snapshot = std::make_shared<Result<KvSnapshot>>(read_snapshot(body));
                      return [this, snapshot] { on_snapshot(std::move(*snapshot)); };
                    });
  if (!read) timer_ = loop_.after(Duration::zero(), [this] { ask_next(); });
}

void HandOver::on_snapshot(Result<KvSnapshot> snapshot) {
  if (snapshot) {
    const auto publishers = static_cast<size_t>(std::count_if(
        snapshot->sources.begin(), snapshot->sources.end(),
        [](const KvSnapshot::Source& source) { return source.position.has_value(); }));
    if (publishers > best_publishers_) {
      best_publishers_ = publishers;
      best_ = std::move(*snapshot);
    }
  }
  ask_next();
}

void HandOver::end_round() {
  question_.reset();
  const bool last = loop_.now() + pause_ - begun_ > options_.patience;
  if (!best_ && !last && ++empty_rounds_ < options_.empty_rounds_max) return wait();
  const bool none_follows = last || !best_;
  const auto decided = [this, none_follows](bool taken) {
    if (!taken && !none_follows) wait();
  };
  offer_(std::exchange(best_, std::nullopt), none_follows, lifeline_.guard(decided));
}

}  // namespace kvasir
