// One source of a KvEventFeed: its stream, and the sockets that the stream needs.
//
// Lives on the feed's thread; what it counts may be read on any.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "kvevents/event_feed.h"
#include "kvevents/event_replay.h"
#include "kvevents/event_stream.h"
#include "kvevents/event_subscription.h"
#include "kvevents/replay_turns.h"
#include "kvevents/waiting_batches.h"
#include "net/io/event_loop.h"
#include "net/zmq/zmq_socket.h"

namespace kvasir {

// What all sources of a feed use.
struct FeedTools {
  EventLoop& loop;
  ZmqContext& context;
  const KvEventFeedOptions& options;
  ZmqSocketOptions sockets;
  KvSourceTracker& tracker;
  KvEventProbe& probe;
  ReplayTurns turns;
  WaitingBudget budget;
};

// Whose events they are, and where they come from.
struct FeedSourceName {
  EndpointId id{};
  Endpoint endpoint;
  uint32_t rank = 0;
  std::string events;  // address; of a bound source its topic
  std::string replay;  // address; empty: none
  std::string topic;   // prefix to subscribe to
};

// Read on any thread.
struct FeedSourceCounters {
  FeedSourceName name;
  TimePoint added_at{};
  EventStreamCounters stream;
  std::array<std::atomic<uint64_t>, kKvFeedOperations> errors{};

  KvFeedSourceStatistics statistics(TimePoint now) const;
};

class FeedSource final : private EventStreamHost,
                         private EventSubscription::Listener,
                         private EventReplay::Listener,
                         private ReplayTurns::Taker {
 public:
  // Adds it to the tracker and subscribes. `tools` must outlive it.
  static Result<std::unique_ptr<FeedSource>> subscribe(FeedTools& tools, FeedSourceName name);
  // One whose messages somebody else receives, and knows by which connection: on_connection(),
  // on_message().
  static Result<std::unique_ptr<FeedSource>> bound(FeedTools& tools, FeedSourceName name);
  // Removes it from the tracker.
  ~FeedSource() override;
  FeedSource(const FeedSource&) = delete;
  FeedSource& operator=(const FeedSource&) = delete;

  void on_message(ZmqFrames frames) override;
  // Of a bound one. From now on its messages come by that connection; it has ended. Of one that
  // has been heard on none the last is kNoConnection.
  static constexpr uint64_t kNoConnection = 0;
  void on_connection(uint64_t connection);
  void on_connection_lost(uint64_t connection);
  uint64_t connection() const { return connection_; }
  void on_reset() { stream_.on_reset(); }
  std::shared_ptr<const FeedSourceCounters> counters() const { return counters_; }

 private:
  FeedSource(FeedTools& tools, KvSourceId source, FeedSourceName name);
  static Result<std::unique_ptr<FeedSource>> add(FeedTools& tools, FeedSourceName name);

  // Of the stream.
  void start_replay(uint64_t from) override;
  void stop_replay() override;
  void on_lost(std::string_view why) override;
  void on_restarted() override;
  void on_emptied() override;
  void on_unusable(std::string_view why) override;
  void on_caught_up(uint64_t batches, KvFreshness now) override;
  void on_given_up(std::string_view why, KvFreshness now) override;
  // Of the subscription.
  void on_connected() override;
  void on_disconnected() override;
  void on_error(KvFeedOperation operation) override;
  // Of the replay.
  void on_turn() override;
  void on_replayed(const ReplayMessage& message) override;
  void on_replay_ended() override;
  void on_replay_failed(std::string_view why) override;

  void refuse_topic(std::string_view topic);

  FeedTools& tools_;
  const KvSourceId source_;
  const std::shared_ptr<FeedSourceCounters> counters_;
  EventStream stream_;
  std::unique_ptr<EventSubscription> subscription_;
  std::shared_ptr<EventReplay> replay_;
  uint64_t replay_from_ = 0;
  uint64_t connection_ = kNoConnection;
  TimerId unreached_ = kNoTimer;      // until it is connected for the first time
  std::optional<std::string> topic_;  // of the last live message
  bool unusable_told_ = false;
  bool topic_refused_ = false;  // what is replayed has a topic that is not heard, and it was told
};

}  // namespace kvasir
