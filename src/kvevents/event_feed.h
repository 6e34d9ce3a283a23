// Subscribes to the KV events of engines over ZeroMQ, makes up for lost ones by replay, and applies
// them to a CacheTracker. One thread of its own does all of it.
//
// For each source (kvevents/event_stream.h): the subscription first, then a replay from the
// beginning, then live events. A gap in the sequence numbers makes the source stale until a replay
// has filled it. A sequence that begins again means that the engine restarted: its cache is empty.
// An engine that publishes nothing is no fault: nothing exact is known of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "kvevents/source_tracker.h"
#include "model/endpoint.h"

namespace kvasir {

// Where an endpoint's engine publishes, by ZeroMQ's names (tcp://HOST:PORT, ipc://...). HOST in
// them stands for the endpoint's host, PORT for its port. With several ranks each adds its number
// to the port.
struct KvEventAddresses {
  std::string events = "tcp://HOST:5557";  // upstream's default
  std::string replay = {};                 // empty: lost events cannot be made up for
  std::string topic = {};                  // prefix of the topics to hear; empty: all
  uint32_t ranks = 1;
};

// Who publishes to KvEventFeedOptions::bind, for a program that does not know its engines
// beforehand. On the feed's thread.
class KvPublishers {
 public:
  virtual ~KvPublishers() = default;
  // Whose events those under `topic` are; asked once for each topic and rank. An endpoint that has
  // not joined has by that. nullopt: its events are dropped, and counted.
  virtual std::optional<std::pair<EndpointId, Endpoint>> find(std::string_view topic) = 0;
};

struct KvEventFeedOptions {
  KvEventAddresses addresses;
  // Engines connect to this one (tcp://*:5555) instead; the topic, kv@POD[:PORT]@MODEL, says whose
  // events they are. Empty: not.
  std::string bind = {};
  // Must outlive the feed. Null: only endpoints that joined, by name or HOST:PORT.
  KvPublishers* publishers = nullptr;
  int receive_high_water_mark = 10'000;  // messages of one socket that wait here; more are lost
  size_t message_bytes_max = size_t{64} << 20;
  size_t messages_per_turn = 64;  // of one socket, before another has its turn
  Duration reconnect_first = std::chrono::milliseconds(100);
  Duration reconnect_max = std::chrono::seconds(5);
  Duration replay_timeout = std::chrono::minutes(2);  // of one replay, whole
  Duration replay_idle = std::chrono::seconds(2);     // without a message
  uint32_t replays_max = 8;                           // under way at once, of all sources
  uint32_t replay_attempts = 3;  // that bring nothing; then the source stays stale
  Duration replay_pause = std::chrono::seconds(30);
  size_t live_bytes_max = size_t{16} << 20;  // of one source, that wait for a replay's end
};

// Told on the feed's thread.
class KvEventProbe {
 public:
  virtual ~KvEventProbe() = default;
  virtual void on_subscribed(const Endpoint& endpoint, uint32_t rank) = 0;
  virtual void on_lost(const Endpoint& endpoint, uint32_t rank, std::string_view why) = 0;
  virtual void on_restarted(const Endpoint& endpoint, uint32_t rank) = 0;
  virtual void on_recovered(const Endpoint& endpoint, uint32_t rank, uint64_t batches) = 0;
};

class KvEventFeed {
 public:
  // Its thread begins at once. `tracker` and `probe` must outlive it; from now on it is the one
  // that writes to `tracker`.
  static Result<std::unique_ptr<KvEventFeed>> start(KvEventFeedOptions options,
                                                    KvSourceTracker& tracker, KvEventProbe& probe);
  ~KvEventFeed();
  KvEventFeed(const KvEventFeed&) = delete;
  KvEventFeed& operator=(const KvEventFeed&) = delete;

  // Any thread. Its sources are added, or removed; one that joins in place of another under the
  // same id comes after that one has left.
  void joined(EndpointId id, const Endpoint& endpoint);
  void left(EndpointId id);
  // Its cache was reset, as a request that went to it said, and it answered so.
  void was_reset(EndpointId id);

 private:
  class State;
  explicit KvEventFeed(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

}  // namespace kvasir
