#include "kvevents/event_stream.h"

#include <fmt/format.h>

namespace kvasir {
namespace {

bool is_usable(KvFreshness freshness) {
  return freshness == KvFreshness::kExact || freshness == KvFreshness::kIncomplete;
}

}  // namespace

EventStream::EventStream(const EventStreamOptions& options, bool replays, KvSourceId source,
                         KvSourceTracker& tracker, EventStreamHost& host, WaitingBudget& budget,
                         Executor& executor, EventStreamCounters& counters)
    : options_(options),
      replays_(replays),
      source_(source),
      tracker_(tracker),
      host_(host),
      executor_(executor),
      counters_(counters),
      waiting_(options.live_bytes_max, budget),
      watch_(options.replay, executor, [this](std::string_view why) { end_replay(false, why); }) {
  const std::optional<KvStreamPosition> known = tracker.position(source);
  if (known) resume(*known);
}

void EventStream::resume(const KvStreamPosition& position) {
  last_ = position.number;
  memory_.remember_hash(position.number, position.hash);
  known_ = doubt_ = true;
  complete_ = position.complete;
  reading_ = false;
  counters_.next = position.number + 1;
  why_ = "what is known is from a snapshot";
  show_freshness();
}

void EventStream::note_position(uint64_t hash) {
  if (hole_) return tracker_.set_position(source_, std::nullopt);
  tracker_.set_position(source_, KvStreamPosition{*last_, hash, complete_});
}

EventStream::~EventStream() {
  executor_.cancel(start_timer_);
}

void EventStream::on_subscribed() {
  if (phase_ != Phase::kConnecting) return;
  counters_.add(counters_.connections);
  counters_.connected = true;
  live_last_.reset();
  replayed_to_.reset();
  heard_ = false;
  if (replays_) return catch_up(why_);
  go_live();
}

void EventStream::on_disconnected() {
  if (phase_ == Phase::kConnecting) return;
  counters_.connected = counters_.replaying = false;
  cease_replay();
  waiting_.clear();
  phase_ = Phase::kConnecting;
  doubt_ = last_.has_value();
  why_ = "the connection was lost";
  show_freshness();
}

void EventStream::on_live(uint64_t number, std::string_view batch) {
  counters_.add(counters_.messages);
  counters_.add(counters_.bytes, batch.size());
  counters_.heard_at = executor_.now();
  heard_ = true;
  const Judgement judgement = judge(number, batch);
  if (judgement == Judgement::kRestart) restart();
  topic_seen_ = true;
  if (judgement == Judgement::kRepetition) {
    counters_.add(counters_.duplicates);
    // The very batch that was applied last: nothing was published in between.
    if (number == last_ && phase_ == Phase::kLive && !is_behind()) doubt_ = false;
    return show_freshness();
  }
  live_last_ = number;
  if (checking_) {  // this batch shows as well whether one is missing
    cease_replay();
    go_live();
  }
  if (phase_ == Phase::kCatchingUp) return wait(number, batch);
  take(number, batch);
}

// A connection neither repeats batches nor changes their order. What comes live may have been
// replayed before, though, and somebody in between may repeat what he passes on.
EventStream::Judgement EventStream::judge(uint64_t number, std::string_view batch) const {
  const bool goes_back = live_last_ && number <= *live_last_;
  if (!goes_back && !(last_ && number <= *last_)) return Judgement::kNew;
  switch (memory_.recall(number, batch)) {
    case BatchMemory::Recall::kSame:
      return Judgement::kRepetition;
    case BatchMemory::Recall::kOther:
      return Judgement::kRestart;
    case BatchMemory::Recall::kUnknown:
      break;
  }
  const bool replayed = replayed_to_ && number <= *replayed_to_;
  return replayed && !goes_back ? Judgement::kRepetition : Judgement::kRestart;
}

void EventStream::wait(uint64_t number, std::string_view batch) {
  if (!waiting_.push(number, batch)) counters_.add(counters_.no_room);
}

void EventStream::take(uint64_t number, std::string_view batch) {
  if (!fill_before(number, batch)) return;
  apply(number, batch);
  show_freshness();
}

// False: `number` is not the next one, and cannot be applied now.
bool EventStream::fill_before(uint64_t number, std::string_view batch) {
  const uint64_t missing = last_ ? number - *last_ - 1 : number;
  if (missing == 0) {
    if (!last_) complete_ = true;
    if (!doubt_ || phase_ == Phase::kConnecting) return true;
    if (number > options_.restarted_number_max) {
      doubt_ = false;
    } else {
      open_hole(0, "the connection was lost, and an engine that restarted meanwhile could have "
                   "come to the same number");
    }
    return true;
  }
  if (phase_ == Phase::kConnecting && replays_) return false;  // a replay will bring it
  if (last_) counters_.add(counters_.gaps);
  if (can_replay()) {
    wait(number, batch);
    catch_up(fmt::format("{} batches are missing", missing));
    return false;
  }
  if (last_) {
    open_hole(missing, fmt::format("{} batches are missing, and {}", missing,
                                   replays_ ? "a replay has just failed" : "there is no replay"));
  } else {
    complete_ = false;
  }
  return true;
}

void EventStream::apply(uint64_t number, std::string_view batch) {
  last_ = number;
  known_ = true;
  const uint64_t hash = memory_.remember(number, batch);
  counters_.add(counters_.batches);
  counters_.next = number + 1;
  const Result<KvBatchApplied> applied = tracker_.apply(source_, batch, executor_.now());
  if (!applied) {
    counters_.add(counters_.faulty);
    open_hole(1, "batch " + std::to_string(number) + " cannot be read: " + applied.error().message);
    return note_position(hash);
  }
  if (applied->cleared) {
    hole_ = false;
    complete_ = true;
    host_.on_emptied();
  }
  note_use(*applied);
  empty_if_reset(applied->cleared);
  note_position(hash);
}

void EventStream::note_use(const KvBatchApplied& applied) {
  unreadable_ = false;
  if (applied.usable || applied.cleared) unusable_ = false;
  if (applied.unusable.empty()) return;
  unusable_ = true;
  host_.on_unusable(applied.unusable);
}

// Whether a batch is missing now, the number of the next one will say.
void EventStream::on_unreadable() {
  unreadable_ = true;
  show_freshness();
}

// Between a reset and its announcement come batches from before it. Whether a replayed one is from
// before it, be it the announcement of another, nobody can say: go_live() empties the cache.
void EventStream::empty_if_reset(bool cleared) {
  if (!reset_ || phase_ != Phase::kLive) return;
  if (cleared || executor_.now() > reset_until_) {
    reset_ = false;
    return;
  }
  tracker_.clear(source_);
  complete_ = false;
}

void EventStream::on_reset() {
  tracker_.clear(source_);
  hole_ = unusable_ = false;
  complete_ = false;
  reset_ = true;
  reset_until_ = time_after(executor_.now(), options_.reset_grace);
  show_freshness();
}

void EventStream::open_hole(uint64_t lost, std::string_view why) {
  counters_.add(counters_.holes);
  counters_.add(counters_.lost, lost);
  const bool told = hole_;
  doubt_ = false;
  complete_ = false;
  if (options_.gap == KvGapPolicy::kForget) {
    tracker_.clear(source_);
  } else {
    hole_ = true;
  }
  why_ = why;
  if (!told) host_.on_given_up(why, hole_ ? KvFreshness::kStale : KvFreshness::kIncomplete);
}

void EventStream::restart() {
  counters_.add(counters_.restarts);
  cease_replay();
  tracker_.clear(source_);
  last_.reset();
  live_last_.reset();
  replayed_to_.reset();
  memory_.forget();
  waiting_.clear();
  known_ = complete_ = hole_ = doubt_ = unusable_ = unreadable_ = false;
  reading_ = true;
  topic_seen_ = !filtered_;
  counters_.next = 0;
  host_.on_emptied();
  host_.on_restarted();
  if (replays_ && phase_ != Phase::kConnecting) return catch_up({});
  if (phase_ == Phase::kLive) go_live();
}

KvFreshness EventStream::freshness() const {
  if (!known_ || (!topic_seen_ && !doubt_)) return KvFreshness::kNothingYet;
  const bool live = phase_ == Phase::kLive || (checking_ && !reset_);
  if (!live || hole_ || doubt_) {
    return reading_ ? KvFreshness::kNothingYet : KvFreshness::kStale;
  }
  if (unusable_ || unreadable_) return KvFreshness::kUnusable;
  return complete_ ? KvFreshness::kExact : KvFreshness::kIncomplete;
}

void EventStream::show_freshness() {
  const KvFreshness before = counters_.freshness;
  const KvFreshness now = freshness();
  if (now == before) return;
  counters_.freshness = now;
  tracker_.set_freshness(source_, now);
  if (now == KvFreshness::kStale && is_usable(before)) host_.on_lost(why_);
}

}  // namespace kvasir
