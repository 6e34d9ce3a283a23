// Which endpoint each session is bound to, until it has not been used for a while.
//
// One hash is one session. Allocates nothing once it has held the most sessions it will hold. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "model/endpoint.h"
#include "plugins/booking_map.h"

namespace kvasir {

class SessionTable {
 public:
  // Bounds the memory to some tens of megabytes; more sessions are not bound.
  static constexpr size_t kSessionsMax = 1'000'000;

  explicit SessionTable(Duration ttl) : ttl_(ttl), queue_(64) {}

  size_t size() const { return count_; }

  // The bindings of `other`, which is not used afterwards; the time to live stays.
  void take_over(SessionTable& other) {
    bindings_ = std::move(other.bindings_);
    queue_ = std::move(other.queue_);
    first_ = other.first_;
    count_ = other.count_;
  }

  // nullopt: bound to nobody, or last used `ttl` ago.
  std::optional<EndpointId> find(uint64_t session, TimePoint now) const {
    const Binding* binding = bindings_.find(key(session));
    if (binding == nullptr || binding->used + ttl_ <= now) return std::nullopt;
    return binding->endpoint;
  }

  void bind(uint64_t session, EndpointId endpoint, TimePoint now) {
    forget_expired(now);
    if (Binding* binding = bindings_.find(key(session))) {
      *binding = {endpoint, now};
    } else if (count_ < kSessionsMax) {
      bindings_.insert(key(session), {endpoint, now});
      push(key(session), now);
    }
  }

 private:
  struct Binding {
    EndpointId endpoint{};
    TimePoint used{};
  };
  struct Check {
    uint64_t key = 0;
    TimePoint used{};  // when it was queued
  };

  static uint64_t key(uint64_t session) { return session == 0 ? 1 : session; }

  // Each session stands in the queue once; one that was used meanwhile goes to its end.
  void forget_expired(TimePoint now) {
    while (count_ > 0 && queue_[first_].used + ttl_ <= now) {
      const uint64_t session = queue_[first_].key;
      first_ = (first_ + 1) % queue_.size();
      --count_;
      const TimePoint used = bindings_.find(session)->used;
      if (used + ttl_ <= now) {
        bindings_.erase(session);
      } else {
        push(session, used);
      }
    }
  }

  void push(uint64_t session, TimePoint used) {
    if (count_ == queue_.size()) grow();
    queue_[(first_ + count_++) % queue_.size()] = {session, used};
  }

  void grow() {
    std::vector<Check> larger(2 * queue_.size());
    for (size_t i = 0; i < count_; ++i) larger[i] = queue_[(first_ + i) % queue_.size()];
    queue_ = std::move(larger);
    first_ = 0;
  }

  const Duration ttl_;
  BookingMap<Binding> bindings_;
  std::vector<Check> queue_;  // a ring, roughly by the time of use
  size_t first_ = 0;
  size_t count_ = 0;
};

}  // namespace kvasir
