// Publishes batches of KV events over ZeroMQ as vLLM 0.32.0 does: a PUB socket whose messages have
// three frames [topic][sequence number, 8 bytes, big-endian][batch], and, if asked for, a ROUTER
// socket that sends again what is still kept.
//
// A thread of its own owns the sockets. publish() never waits for it or for a subscriber: what
// finds no place is dropped and counted, and its sequence number is missing, so that subscribers
// know. Batches are kept once, whoever has yet to get them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace kvasir {

struct KvEventPublisherOptions {
  // vLLM's rule: an endpoint with '*' or '::' in it, and ipc:// and inproc://, is bound; any other
  // is connected to. Empty: those of set_peers() are connected to.
  std::string endpoint = "tcp://*:5557";
  std::string replay_endpoint = {};  // always bound; empty: nothing is sent again
  std::string topic = {};
  uint32_t buffer_steps = 10'000;     // batches that are kept for a replay
  int hwm = 100'000;                  // messages that wait for one subscriber; more are dropped
  uint32_t max_queue_size = 100'000;  // batches that wait for the thread
  size_t replay_bytes_max = size_t{128} << 20;  // of those that are kept for a replay
  // Of all batches: those, and what the thread or a subscriber has yet to take.
  size_t bytes_max = size_t{256} << 20;
  size_t replays_max = 16;  // under way at once; further requests are ignored
  // How often a replay looks whether a client that was slow takes more.
  Duration replay_retry = std::chrono::milliseconds(5);
  Duration replay_patience = std::chrono::seconds(30);  // without any progress
};

struct KvEventCounts {
  uint64_t offered = 0;  // batches that have a number, published or not
  uint64_t published = 0;
  uint64_t dropped = 0;    // for lack of place
  uint64_t replayed = 0;
  uint64_t replay_requests_ignored = 0;
  uint64_t connections = 0;  // that were made to whom it connects
};

class KvEventPublisher {
 public:
  // Fails when an endpoint cannot be bound, or is none.
  static Result<std::unique_ptr<KvEventPublisher>> start(KvEventPublisherOptions options);
  ~KvEventPublisher();
  KvEventPublisher(const KvEventPublisher&) = delete;
  KvEventPublisher& operator=(const KvEventPublisher&) = delete;

  // --- The thread that made it ---
  void publish(std::string batch);
  // Connects to these from now on, and to no others. Those that stay are not disturbed.
  void set_peers(std::vector<std::string> endpoints);

  // --- Any thread ---
  KvEventCounts counts() const;
  // Where it is bound, with the port that it got; empty when it connects.
  const std::string& bound_endpoint() const;
  const std::string& bound_replay_endpoint() const;

 private:
  class State;
  explicit KvEventPublisher(std::unique_ptr<State> state);
  const std::unique_ptr<State> state_;
};

// Whether vLLM binds its socket there; else it connects.
bool is_bound_endpoint(const std::string& endpoint);

}  // namespace kvasir
