// Keeps the latest batches of KV events and sends them again to whoever asks (a ROUTER socket).
//
// A client takes what it is sent as fast as it likes; nobody waits for it, and one that takes
// nothing for a while is given up. Everything on the publisher's thread, but for open() and
// counts().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "worker/kv_event_messages.h"
#include "worker/kv_event_publisher.h"

namespace kvasir {

class KvEventReplays {
 public:
  explicit KvEventReplays(const KvEventPublisherOptions& options) : options_(options) {}

  // Binds the socket. Before the thread begins.
  Result<void> open(void* context);
  const std::string& bound_endpoint() const { return bound_; }

  void keep(const NumberedBatch& numbered);
  // A bounded piece of what waits; whether more can be done at once.
  bool read_requests();
  bool go_on();
  bool any_under_way() const { return !replays_.empty(); }
  // What to wait for: requests.
  void* socket() const { return router_.get(); }

  // Any thread.
  uint64_t replayed() const { return replayed_.load(std::memory_order_relaxed); }
  uint64_t ignored() const { return ignored_.load(std::memory_order_relaxed); }

 private:
  struct Replay {
    std::string client;
    uint64_t next = 0;
    TimePoint progress{};
  };
  enum class Turn : uint8_t { kGoesOn, kWaits, kOver };

  bool read_request();
  void begin_replay(const std::vector<std::string>& frames);
  Turn send_some(Replay& replay);
  Turn send_next(Replay& replay);
  bool reply(const std::string& client, std::string_view sequence, const SharedBatch* batch);

  const KvEventPublisherOptions options_;
  const SteadyClock clock_;
  PublisherSocket router_;
  std::string bound_;
  std::deque<NumberedBatch> kept_;
  size_t kept_bytes_ = 0;
  std::vector<Replay> replays_;
  std::atomic<uint64_t> replayed_{0}, ignored_{0};
};

}  // namespace kvasir
