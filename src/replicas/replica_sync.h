// What a replica says to the others and makes of what it hears, without a socket or a thread.
//
// Each replica tells all that it has in flight, never a difference, and is believed until it says
// something else or falls silent: so a lost message, a restart or a replica that dies heals by
// itself, and nothing leaks. Sessions are told when they are bound, and all of them in turn again.
// Not thread-safe: lives on one loop.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "scheduling/shared_state.h"
#include "wire/replica_sync.h"

namespace kvasir {

class ReplicaProbe;
class Fleet;
class Scheduler;
struct Snapshot;

struct ReplicaSyncOptions {
  Duration interval = std::chrono::milliseconds(100);   // between messages, when there is news
  Duration heartbeat = std::chrono::milliseconds(500);  // when there is none
  Duration timeout = std::chrono::seconds(3);  // a replica that is silent so long is forgotten
  // How long one is still believed whose connection broke, and who may come back.
  Duration grace = std::chrono::milliseconds(500);
  size_t origins_max = 64;  // others that are listened to; more are not
  // Sessions of one plugin in a message: new ones; others while somebody is new, and with a
  // heartbeat at any time.
  size_t new_bindings_max = 2048;
  size_t catch_up_bindings_max = 2048;
  size_t heartbeat_bindings_max = 256;
  size_t pending_bindings_max = 64 * 1024;  // heard and not yet taken in; more are dropped
};

class ReplicaSync {
 public:
  enum class Heard : uint8_t {
    kTaken,
    kOwn,      // it comes from this process
    kOld,      // a later one of the same origin was heard before
    kTooMany,  // origins_max others are listened to already
  };

  // `id`: random, not 0. All references must outlive it. The clock is the scheduler's.
  ReplicaSync(uint64_t id, const Fleet& fleet, Scheduler& scheduler, const Clock& clock,
              ReplicaProbe& probe, ReplicaSyncOptions options = {});

  // A message that another replica sent. It has its effect at the next tick().
  Heard hear(ReplicaMessage message);
  // The connection it spoke over is gone.
  void lost(uint64_t origin);
  // Somebody listens who may know nothing: the next tick() speaks, and the following ones tell all
  // sessions.
  void greet() {
    rounds_ = kRoundsOfGreeting;
    sent_.reset();
  }

  // Takes in what was heard, forgets who is silent, and returns what everybody is to be told now,
  // if anything. To be called at least twice every interval.
  std::optional<std::string> tick();

  // Other replicas that are listened to.
  size_t others() const { return origins_.size(); }
  uint64_t id() const { return id_; }

 private:
  // Sessions taken in under one lock of the scheduler: requests come between.
  static constexpr size_t kBindingsAtOnce = 256;
  // The first round through the sessions may have begun in the middle.
  static constexpr int kRoundsOfGreeting = 2;

  struct Origin {
    uint64_t sequence = 0;
    TimePoint heard{};
    std::vector<std::string> endpoints;
    std::vector<ReplicaPlugin> plugins;  // their bindings are taken out
  };

  void refresh_names();
  void forget_silent();
  void keep_bindings(const ReplicaMessage& message);
  void apply();
  void take_bindings(SharedState& state);
  ReplicaMessage message_of(const SharedState& state);

  const uint64_t id_;
  const Fleet& fleet_;
  Scheduler& scheduler_;
  const Clock& clock_;
  ReplicaProbe& probe_;
  const ReplicaSyncOptions options_;

  std::unordered_map<uint64_t, Origin> origins_;
  std::map<std::string, std::vector<SharedBinding>> pending_;  // by plugin
  size_t pending_count_ = 0;
  bool changed_ = false;  // the sum of all origins is not what the scheduler was told

  std::shared_ptr<const Snapshot> fleet_seen_;  // that names_ looks into
  std::unordered_map<std::string_view, EndpointId> names_;

  uint64_t sequence_ = 0;
  std::optional<TimePoint> sent_;
  std::vector<ReplicaPlugin> sent_loads_;
  std::vector<std::string> sent_endpoints_;
  int rounds_ = 0;  // through all sessions, that are to be told quickly
};

}  // namespace kvasir
