// EventStream, the part that catches up with what was published without being heard.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kvevents/event_stream.h"

namespace kvasir {
namespace {

constexpr int kFirstPauseShare = 30;
constexpr Duration kPauseLeast = std::chrono::milliseconds(1);

}  // namespace

bool EventStream::can_replay() const {
  return replays_ && phase_ != Phase::kConnecting && executor_.now() >= no_replay_before_;
}

// Something came live that was not applied yet.
bool EventStream::is_behind() const {
  return live_last_ && (!last_ || *live_last_ > *last_);
}

void EventStream::catch_up(std::string_view why) {
  executor_.cancel(std::exchange(start_timer_, kNoTimer));
  phase_ = Phase::kCatchingUp;
  counters_.replaying = true;
  attempts_ = in_a_row_ = 0;
  replayed_ = 0;
  why_ = why;
  show_freshness();
  start_replay();
}

void EventStream::start_replay() {
  const TimePoint now = executor_.now();
  if (now < next_replay_at_) return start_later(next_replay_at_ - now);
  next_replay_at_ = time_after(now, options_.replay_spacing);
  replay_asked_ = true;
  replay_unchecked_ = last_.has_value();
  replay_advanced_ = false;
  counters_.add(counters_.replays);
  host_.start_replay(last_.value_or(0));
}

void EventStream::start_later(Duration delay) {
  executor_.cancel(start_timer_);
  start_timer_ = executor_.after(delay, [this] {
    start_timer_ = kNoTimer;
    start_replay();
  });
}

void EventStream::check_later() {
  if (heard_ && topic_seen_) return;
  executor_.cancel(start_timer_);
  const Duration delay = heard_ ? options_.replay_pause : options_.subscription_check;
  start_timer_ = executor_.after(delay, [this] {
    start_timer_ = kNoTimer;
    check_subscription();
  });
}

void EventStream::check_subscription() {
  if ((heard_ && topic_seen_) || !can_replay()) return;
  heard_ = checking_ = true;
  catch_up("the subscription is being checked");
}

void EventStream::cease_replay() {
  executor_.cancel(start_timer_);
  start_timer_ = kNoTimer;
  watch_.stop();
  replay_asked_ = checking_ = false;
  host_.stop_replay();
}

void EventStream::on_replay_started() {
  if (replay_asked_) watch_.start();
}

void EventStream::on_replayed(uint64_t number, std::string_view batch) {
  if (!replay_asked_) return;
  if (!watch_.heard(batch.size())) return end_replay(false, "it brings too many bytes");
  if (replay_unchecked_) {
    check_process(number, batch);
  } else {
    take_replayed(number, batch);
  }
  if (checking_) show_freshness();
}

// The first batch of a replay should be the last one that was applied.
void EventStream::check_process(uint64_t number, std::string_view batch) {
  if (number < *last_) return end_replay(false, "it brings batches that were not asked for");
  replay_unchecked_ = false;
  if (number == *last_) {
    if (memory_.recall(number, batch) == BatchMemory::Recall::kOther) restart();
    return;
  }
  // It keeps no batch of that time. If the connection was lost it may be another process, too.
  const uint64_t lost = number - *last_ - 1;
  if (lost > 0 || doubt_) {
    open_hole(lost, "the engine no longer keeps the batches that are missing");
  }
  last_ = number - 1;
  take_replayed(number, batch);
}

void EventStream::take_replayed(uint64_t number, std::string_view batch) {
  if (last_ && number <= *last_) {
    if (memory_.recall(number, batch) == BatchMemory::Recall::kSame) {
      return counters_.add(counters_.duplicates);
    }
    return end_replay(false, "its numbers go back");
  }
  if (last_ && number - *last_ > 1) return end_replay(false, "batches are missing in it");
  if (!last_) complete_ = number == 0;
  apply(number, batch);
  replay_advanced_ = true;
  replayed_to_ = number;
  ++replayed_;
  counters_.add(counters_.replayed);
}

void EventStream::on_replay_ended() {
  if (!replay_asked_) return;
  // A process keeps at least the batch that it published last, so it never published ours.
  if (replay_unchecked_) return restart();
  end_replay(true, {});
}

void EventStream::on_replay_failed(std::string_view why) {
  if (replay_asked_) end_replay(false, why);
}

void EventStream::on_replay_refused(std::string_view why) {
  if (!replay_asked_) return;
  cease_replay();
  counters_.add(counters_.replays_failed);
  give_up(why);
}

void EventStream::end_replay(bool marked, std::string_view why) {
  const bool checked = !replay_unchecked_;
  const bool checking = checking_;
  cease_replay();
  // Live batches that go on where it stopped show as well as its mark that nothing is missing.
  const bool continued = checked && drain();
  if (!is_behind() && (marked || continued)) {
    if (!last_) known_ = complete_ = true;
    doubt_ = false;
    go_live();
    check_later();
    if (topic_seen_ && (!checking || replayed_ > 0)) tell_caught_up();
    return;
  }
  counters_.add(counters_.replays_failed);
  if (checking) {
    if (!replay_advanced_) {
      go_live();
      return check_later();
    }
    why_ = "batches are missing that were published while it was subscribed";
    show_freshness();
  }
  attempts_ = replay_advanced_ ? 0 : attempts_ + 1;
  if (why.empty()) why = "it ends before the batches that came live";
  if (attempts_ >= options_.replay_attempts || ++in_a_row_ >= options_.replays_in_a_row) {
    const uint64_t holes = counters_.holes;
    give_up(why);
    if (counters_.holes == holes) host_.on_given_up(why, freshness());
    return;
  }
  if (replay_advanced_) return start_replay();
  const Duration first = options_.replay_pause / kFirstPauseShare;
  start_later(std::min(options_.replay_pause, first * (1 << std::min(attempts_ - 1, 16u))));
}

// Where a hole is, or nothing can be used, that was told when it came to be so.
void EventStream::tell_caught_up() {
  const KvFreshness now = freshness();
  if (now == KvFreshness::kExact || now == KvFreshness::kIncomplete) {
    host_.on_caught_up(replayed_, now);
  }
}

// Applies waiting batches as far as none is missing. Whether one was.
bool EventStream::drain() {
  bool applied = false;
  while (!waiting_.empty()) {
    const WaitingBatches::Batch& batch = waiting_.front();
    const uint64_t expected = last_ ? *last_ + 1 : 0;
    if (batch.number > expected) break;
    if (batch.number == expected) {
      if (!last_) complete_ = true;
      apply(batch.number, batch.bytes);
      applied = true;
    }
    waiting_.pop();
  }
  return applied;
}

void EventStream::go_live() {
  phase_ = Phase::kLive;
  counters_.replaying = false;
  reading_ = false;
  if (reset_) {  // what was replayed may be from before it
    tracker_.clear(source_);
    complete_ = false;
    reset_until_ = time_after(executor_.now(), options_.reset_grace);
  }
  show_freshness();
}

// What waits is taken as it is: what is missing in between is lost.
void EventStream::give_up(std::string_view why) {
  no_replay_before_ =
      time_after(executor_.now(), std::max<Duration>(options_.replay_pause, kPauseLeast));
  while (!waiting_.empty()) {
    const WaitingBatches::Batch& batch = waiting_.front();
    if (!last_ || batch.number > *last_) take(batch.number, batch.bytes);
    waiting_.pop();
  }
  if (last_ && is_behind()) doubt_ = true;  // the next one will show what is missing
  why_ = why;
  go_live();
}

}  // namespace kvasir
