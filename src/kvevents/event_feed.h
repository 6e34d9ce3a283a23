// Subscribes to the KV events of engines over ZeroMQ, makes up for lost ones by replay, and tells a
// KvSourceTracker of them. One thread of its own does all of it.
//
// A source is one rank of one endpoint: a subscription (SUB), and a connection for replays (DEALER)
// only while one runs. What was lost, and what becomes of it: kvevents/event_stream.h.
//
// An engine that publishes nothing is no fault: nothing is known of it. Names of hosts are looked
// up by ZeroMQ on its I/O thread, again before each attempt to connect. IPv6 addresses stand in
// brackets, tcp://[::1]:5557.
//
// Security: ZeroMQ connections have neither authentication nor encryption here, as upstream has
// none. Events say the tokens of prompts, so the ports of engines belong behind a NetworkPolicy,
// bound to the pod's address. Whoever can publish as an engine can steer requests to it and fill
// the index up to the limits of a source, and no more. libzmq below 4.3.2 is refused
// (CVE-2019-6250, CVE-2019-13132).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "kvevents/event_stream.h"
#include "kvevents/held_messages.h"
#include "kvevents/source_tracker.h"
#include "model/endpoint.h"

namespace kvasir {

// Where an endpoint's engine publishes, by ZeroMQ's names (tcp://HOST:PORT, ipc://...). HOST in
// them stands for the endpoint's host, PORT for its port. With several ranks each adds its number
// to the port, as vLLM does.
struct KvEventAddresses {
  std::string events = "tcp://HOST:5557";  // upstream's default
  std::string replay = {};                 // empty: lost events cannot be made up for
  std::string topic = {};                  // prefix of the topics to hear; empty: all
  uint32_t ranks = 1;

  bool operator==(const KvEventAddresses& other) const = default;
};

// Who publishes to KvEventFeedOptions::bind, for a program that does not know its engines
// beforehand. On the feed's thread.
class KvPublishers {
 public:
  virtual ~KvPublishers() = default;
  // Whose events those under `topic` are; asked once for each topic, and again when it said
  // nullopt. An endpoint that has not joined has by that. nullopt: its events are dropped, and
  // counted.
  virtual std::optional<std::pair<EndpointId, Endpoint>> find(std::string_view topic) = 0;
  // A message with events in JSON (wire/kv_events/kv_event_json.h), which say themselves whose they
  // are.
  virtual void on_json(std::string_view topic, std::string_view events) {
    static_cast<void>(topic), static_cast<void>(events);
  }
};

struct KvEventFeedOptions {
  KvEventAddresses addresses;
  // Engines connect to this one (tcp://*:5555) instead; the topic, kv@POD[:PORT]@MODEL, says whose
  // events they are. Empty: not. Each engine needs a topic of its own; its ranks may share one when
  // their batches say the rank. Numbers are told apart by nothing else.
  std::string bind = {};
  // What engines publish to `bind` is held until look_at_held() ends it, or more than
  // `waiting_bytes_max` came.
  bool hold = false;
  // Must outlive the feed. Null: only endpoints that joined, by name or HOST:PORT.
  KvPublishers* publishers = nullptr;

  EventStreamOptions stream;
  uint32_t replays_max = 16;                   // under way at once, of all sources
  // Of all sources, that wait for a replay's end; and as much again of what is held.
  size_t waiting_bytes_max = size_t{256} << 20;

  size_t sources_max = 4096;  // each takes three descriptors, and one for its connection
  // Messages of one socket that wait in ZeroMQ. Above it the connection is not read, and they wait
  // at the engine, which drops what is above its own mark.
  int receive_high_water_mark = 1000;
  size_t message_bytes_max = size_t{16} << 20;  // a publisher of larger ones is cut off
  size_t messages_per_turn = 64;                // of one socket, before another has its turn
  Duration reconnect_first = std::chrono::milliseconds(100);
  Duration reconnect_max = std::chrono::seconds(5);
  Duration connect_timeout = std::chrono::seconds(5);  // and as long again for ZeroMQ's handshake
  Duration unreached_after = std::chrono::seconds(5);  // an engine, since it joined
  // Between calls of KvSourceTracker::tidy() when it has nothing to do.
  Duration tidy_interval = std::chrono::seconds(1);
};

// Told on the feed's thread.
class KvEventProbe {
 public:
  virtual ~KvEventProbe() = default;
  // `replays`: what it published before can be asked for.
  virtual void on_subscribed(const Endpoint& endpoint, uint32_t rank, bool replays) = 0;
  // Its knowledge is stale.
  virtual void on_lost(const Endpoint& endpoint, uint32_t rank, std::string_view why) = 0;
  virtual void on_restarted(const Endpoint& endpoint, uint32_t rank) = 0;
  // A rank's cache was empty at that moment: it restarted, or its events say so.
  virtual void on_emptied(EndpointId endpoint) { static_cast<void>(endpoint); }
  // All that it still has is known, so many batches by replay. `now`: kExact, or kIncomplete when
  // it had published more.
  virtual void on_recovered(const Endpoint& endpoint, uint32_t rank, uint64_t batches,
                            KvFreshness now) = 0;
  // Lost events cannot be made up for; what is known is `now`, by KvGapPolicy.
  virtual void on_given_up(const Endpoint& endpoint, uint32_t rank, std::string_view why,
                           KvFreshness now) {
    static_cast<void>(endpoint), static_cast<void>(rank);
    static_cast<void>(why), static_cast<void>(now);
  }
  // A message whose frames cannot be read. `of`: the pod, or the topic; it may be empty.
  virtual void on_unreadable(std::string_view of, std::string_view why) {
    static_cast<void>(of), static_cast<void>(why);
  }
  // None of its events can be used, so nothing is known of its cache. Told once.
  virtual void on_unusable(const Endpoint& endpoint, uint32_t rank, std::string_view why) {
    static_cast<void>(endpoint), static_cast<void>(rank), static_cast<void>(why);
  }
  // It was not reached at `address` in KvEventFeedOptions::unreached_after; told once. It is tried
  // again. `answered`: somebody is there, who does not publish.
  virtual void on_unreached(const Endpoint& endpoint, uint32_t rank, std::string_view address,
                            bool answered) {
    static_cast<void>(endpoint), static_cast<void>(rank);
    static_cast<void>(address), static_cast<void>(answered);
  }
  // It cannot be heard at all: its address is none or another one's, there are too many sources, or
  // its topic is not what is listened to.
  virtual void on_refused(const Endpoint& endpoint, uint32_t rank, std::string_view why) {
    static_cast<void>(endpoint), static_cast<void>(rank), static_cast<void>(why);
  }
  // Somebody publishes to the bound address without saying who it is, or under a name that no
  // endpoint has; what is to be done about it. Told once, and once for each such topic.
  virtual void on_unnamed_publisher(std::string_view why) { static_cast<void>(why); }
};

// What a ZeroMQ error befell.
enum class KvFeedOperation : uint8_t { kConnect, kHandshake, kFrames, kReplay };
inline constexpr size_t kKvFeedOperations = 4;
std::string_view name_of(KvFeedOperation operation);  // "connect", ...

// Of one source.
struct KvFeedSourceStatistics {
  EndpointId endpoint{};
  std::string name;  // the endpoint's
  uint32_t rank = 0;
  std::string address;  // of its events; the topic of one that is bound
  KvFreshness freshness = KvFreshness::kNothingYet;
  bool connected = false;
  bool replaying = false;
  uint64_t connections = 0;  // all but the first are reconnections
  uint64_t messages = 0;
  uint64_t bytes = 0;
  uint64_t batches = 0;
  uint64_t duplicates = 0;
  uint64_t faulty = 0;
  uint64_t gaps = 0;
  uint64_t holes = 0;
  uint64_t lost_batches = 0;
  uint64_t restarts = 0;
  uint64_t replays = 0;
  uint64_t replays_failed = 0;
  uint64_t replayed_batches = 0;
  uint64_t no_room = 0;
  uint64_t next_number = 0;
  // Since its last live message, or since it was added.
  Duration silence{};
  std::array<uint64_t, kKvFeedOperations> errors{};
};

struct KvEventFeedStatistics {
  uint64_t refused_sources = 0;   // that could not be subscribed to
  uint64_t unknown_messages = 0;  // whose topic nobody knew, or which names nobody
  uint64_t faulty_messages = 0;   // to the bound address, whose frames could not be read
  uint64_t json_messages = 0;
  std::vector<KvFeedSourceStatistics> sources;

  uint64_t active_subscribers() const;  // whose connection is there
  uint64_t stale_sources() const;
};

class KvEventFeed {
 public:
  // Its thread begins at once. `tracker` and `probe` must outlive it; from now on it is the one
  // that writes to `tracker`. The error: libzmq is too old, or an address is none.
  static Result<std::unique_ptr<KvEventFeed>> start(KvEventFeedOptions options,
                                                    KvSourceTracker& tracker, KvEventProbe& probe);
  // Its sources are removed from the tracker.
  ~KvEventFeed();
  KvEventFeed(const KvEventFeed&) = delete;
  KvEventFeed& operator=(const KvEventFeed&) = delete;

  // Any thread. Its sources are added, or removed; one that joins in place of another under the
  // same id takes its place, and the same one again changes nothing. Whatever its events did until
  // left() is undone by it, and later ones do nothing.
  void joined(EndpointId id, const Endpoint& endpoint);
  // With addresses of its own.
  void joined(EndpointId id, const Endpoint& endpoint, const KvEventAddresses& addresses);
  void left(EndpointId id);
  // Its cache was reset, as a request that went to it said, and it answered so.
  void was_reset(EndpointId id);
  // Runs `work`, which may write to the tracker, on the feed's thread.
  void post(std::function<void()> work);
  // Calls `look` on the feed's thread.
  void look_at_held(LookAtHeld look);

  // Any thread; waits for nobody.
  KvEventFeedStatistics statistics() const;

 private:
  class State;
  explicit KvEventFeed(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

}  // namespace kvasir
