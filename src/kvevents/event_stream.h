// One source's events, from its first subscription on: which batches are applied, what was lost,
// and how far what is known can be trusted. Owns no socket: whoever has them (event_feed.h) tells
// it what came, and does what it asks of its EventStreamHost.
//
// - Each process of an engine numbers its batches 0, 1, 2, ... After each subscription, and
//   whenever a number is missing (a gap), a replay fills what is missing; live batches wait
//   meanwhile and the source is stale.
// - A subscription takes effect at the engine a little later than its connection is there. A batch
//   of that moment, published after a replay ended, comes by neither way, and only the next one
//   would show that. So, unless a live batch comes, one more replay looks for it a while later;
//   what is known counts meanwhile.
// - A replay begins with the batch that was applied last. That shows whether the same process
//   answers: another has another batch under that number, or none.
// - A lost connection makes the source stale until a replay was read to its end. Without replays
//   the next number ends the doubt, if it follows the last one and is so high that an engine that
//   restarted meanwhile cannot have come to it; or the last batch itself, when it comes again.
// - A number that goes back, with another batch than before, means that the engine restarted: its
//   cache was empty then, and its events are read from the first on.
// - What cannot be filled in (no replay, or the engine keeps too few batches) is a hole;
//   KvGapPolicy says what becomes of the source. Batches that were published before anybody
//   subscribed are no hole: without them the knowledge is incomplete, and what is known is right.
// - An announced clear (AllBlocksCleared), a restart, or a reset by way of us means that the cache
//   is empty, and so ends every hole. Nothing else does.
// - A subscription to some topics only hears nothing of an engine that publishes under another one,
//   and replays say nothing of that where they bring no topic. So nothing counts until a batch
//   under a topic that is heard was seen; meanwhile a replay looks for one now and then.
// - What the tracker knows of the source from before (KvStreamPosition) is as after a lost
//   connection: it is stale until a replay was read, which shows whether the same process answers.
//
// Lives on one thread, that of its executor. The host's answers may come during the call.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/executor.h"
#include "kvevents/batch_memory.h"
#include "kvevents/replay_watch.h"
#include "kvevents/source_tracker.h"
#include "kvevents/waiting_batches.h"

namespace kvasir {

// What becomes of a source when lost events cannot be made up for.
enum class KvGapPolicy : uint8_t {
  // Stale until its cache is known to be empty: a restart, an announced clear, a reset.
  kStale,
  // What was known is forgotten; what comes from then on is known, and incomplete.
  kForget,
};

struct EventStreamOptions {
  KvGapPolicy gap = KvGapPolicy::kStale;
  ReplayLimits replay;
  uint32_t replay_attempts = 3;   // in a row that bring nothing
  // For one loss, whatever they bring: an engine's own limits may cut an answer into many.
  uint32_t replays_in_a_row = 256;
  // After so many no replay is asked for so long, but for a new connection. Between two of them a
  // thirtieth of it, twice as long each time.
  Duration replay_pause = std::chrono::seconds(30);
  Duration replay_spacing = std::chrono::milliseconds(100);  // from start to start, at least
  size_t live_bytes_max = size_t{16} << 20;                  // that wait for a replay's end
  // After a subscription's replay, until another one looks whether live batches are missing.
  Duration subscription_check = std::chrono::seconds(1);
  // So high a number shows, without a replay, that an engine did not restart while its connection
  // was lost.
  uint64_t restarted_number_max = 1000;
  // Batches from before a reset may come so late.
  Duration reset_grace = std::chrono::seconds(1);
};

// Written by the stream, for any thread to read.
struct EventStreamCounters {
  using Count = std::atomic<uint64_t>;
  static void add(Count& count, uint64_t by = 1) {  // cheap, for there is one writer
    count.store(count.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }

  Count messages{0};    // live batches that came
  Count bytes{0};       // of them
  Count batches{0};     // that were applied, replayed ones too
  Count duplicates{0};  // dropped
  Count faulty{0};      // batches that could not be read to their end
  Count gaps{0};
  Count holes{0};  // losses that could not be made up for,
  Count lost{0};   // and how many batches those were, as far as numbers tell
  Count restarts{0};
  Count connections{0};
  Count replays{0};
  Count replays_failed{0};  // that did not bring all that was missing
  Count replayed{0};        // batches
  Count no_room{0};         // live batches that could not wait for a replay's end
  Count next{0};            // the number that is expected
  std::atomic<TimePoint> heard_at{TimePoint{}};  // of the last live batch; zero: none
  std::atomic<bool> connected{false};
  std::atomic<bool> replaying{false};  // or about to
  std::atomic<KvFreshness> freshness{KvFreshness::kNothingYet};
};

class EventStreamHost {
 public:
  virtual ~EventStreamHost() = default;

  // Asks the source for its batches from number `from` on, at once or in its turn: on_replay_...
  // of the stream, until stop_replay() or the end.
  virtual void start_replay(uint64_t from) = 0;
  // Nothing more is told of it. Also called when there is none.
  virtual void stop_replay() = 0;

  virtual void on_lost(std::string_view why) = 0;  // it is stale
  virtual void on_restarted() = 0;
  // Its cache was empty at that moment: it restarted, or a batch says so. Before on_restarted().
  virtual void on_emptied() = 0;
  // All that the source still has is known, so many batches of it by replay. `now`: kExact, or
  // kIncomplete when it had published more. Not told while what is known is of no use.
  virtual void on_caught_up(uint64_t batches, KvFreshness now) = 0;
  // What was lost cannot be made up for; what is known is `now`.
  virtual void on_given_up(std::string_view why, KvFreshness now) = 0;
  // Of what it publishes nothing can be used.
  virtual void on_unusable(std::string_view why) { static_cast<void>(why); }
};

class EventStream {
 public:
  // All must outlive it. `replays`: the source answers requests for a replay. The source was added
  // to the tracker, and is removed by its owner.
  EventStream(const EventStreamOptions& options, bool replays, KvSourceId source,
              KvSourceTracker& tracker, EventStreamHost& host, WaitingBudget& budget,
              Executor& executor, EventStreamCounters& counters);
  ~EventStream();
  EventStream(const EventStream&) = delete;
  EventStream& operator=(const EventStream&) = delete;

  // The connection for live batches is there, or was lost. Of a source whose connections nobody
  // sees: once, at first.
  void on_subscribed();
  void on_disconnected();
  void on_live(uint64_t number, std::string_view batch);
  // A live message that cannot be read; nobody knows its number.
  void on_unreadable();
  // A reset of its cache was done by way of us.
  void on_reset();

  // The subscription is to some topics only. Before on_subscribed().
  void expect_topic() { filtered_ = true, topic_seen_ = false; }
  // What is replayed has one of them.
  void on_topic_seen() { topic_seen_ = true; }

  // Of the replay that was asked for last: the request is on its way; a batch; the end's mark; or
  // it cannot be had.
  void on_replay_started();
  void on_replayed(uint64_t number, std::string_view batch);
  void on_replay_ended();
  void on_replay_failed(std::string_view why);
  // It brings what the subscription will never hear: no other is asked for. The host knows.
  void on_replay_refused(std::string_view why);

 private:
  enum class Phase : uint8_t { kConnecting, kLive, kCatchingUp };
  enum class Judgement : uint8_t { kNew, kRepetition, kRestart };

  Judgement judge(uint64_t number, std::string_view batch) const;
  void take(uint64_t number, std::string_view batch);
  bool fill_before(uint64_t number, std::string_view batch);
  void wait(uint64_t number, std::string_view batch);
  void apply(uint64_t number, std::string_view batch);
  void note_use(const KvBatchApplied& applied);
  void empty_if_reset(bool cleared);
  void resume(const KvStreamPosition& position);
  void note_position(uint64_t hash);
  void open_hole(uint64_t lost, std::string_view why);
  void restart();

  bool can_replay() const;
  bool is_behind() const;
  void catch_up(std::string_view why);
  void start_replay();
  void cease_replay();
  void check_subscription();
  void check_process(uint64_t number, std::string_view batch);
  void take_replayed(uint64_t number, std::string_view batch);
  void end_replay(bool marked, std::string_view why);
  bool drain();
  void go_live();
  void give_up(std::string_view why);
  void tell_caught_up();
  void start_later(Duration delay);
  void check_later();

  KvFreshness freshness() const;
  void show_freshness();

  const EventStreamOptions options_;
  const bool replays_;
  const KvSourceId source_;
  KvSourceTracker& tracker_;
  EventStreamHost& host_;
  Executor& executor_;
  EventStreamCounters& counters_;

  Phase phase_ = Phase::kConnecting;
  std::optional<uint64_t> last_;         // that was applied
  std::optional<uint64_t> live_last_;    // that came on this connection
  std::optional<uint64_t> replayed_to_;  // since this connection
  BatchMemory memory_;                   // of what was applied
  WaitingBatches waiting_;

  bool known_ = false;      // something was applied, or a replay said that there is nothing
  bool complete_ = false;   // all of the cache is known
  bool hole_ = false;       // what is known may be gone
  bool unusable_ = false;   // no event could be used since its cache was empty, but some came
  bool unreadable_ = false;  // the last message
  bool doubt_ = false;      // the connection was lost: something may be missing
  bool reading_ = true;     // for the first time since the engine started
  std::string why_;         // it is stale

  bool heard_ = false;     // a live batch on this connection, or it was checked
  bool checking_ = false;  // the replay is one that checks the subscription

  bool filtered_ = false;   // the subscription is to some topics only,
  bool topic_seen_ = true;  // and this process publishes under one of them

  bool reset_ = false;  // and no announced clear was seen since
  TimePoint reset_until_{};

  bool replay_asked_ = false;
  bool replay_unchecked_ = false;  // its first batch must be the last one that was applied
  bool replay_advanced_ = false;   // it brought a batch
  uint32_t attempts_ = 0;          // that brought nothing,
  uint32_t in_a_row_ = 0;          // and all of them, since catch_up()
  uint64_t replayed_ = 0;          // batches, since then
  TimePoint next_replay_at_ = TimePoint::min();
  TimePoint no_replay_before_ = TimePoint::min();
  TimerId start_timer_ = kNoTimer;
  ReplayWatch watch_;
};

}  // namespace kvasir
