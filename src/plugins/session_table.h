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
    owners_ = std::move(other.owners_);
    queue_ = std::move(other.queue_);
    first_ = other.first_;
    count_ = other.count_;
  }

  // nullopt: bound to nobody, to an endpoint that was forgotten since, or last used `ttl` ago.
  std::optional<EndpointId> find(uint64_t session, TimePoint now) const {
    const Binding* binding = bindings_.find(key(session));
    if (binding == nullptr || binding->used + ttl_ <= now) return std::nullopt;
    if (binding->owner != owner(binding->endpoint)) return std::nullopt;
    return binding->endpoint;
  }

  void bind(uint64_t session, EndpointId endpoint, TimePoint now) {
    forget_expired(now);
    if (Binding* binding = bindings_.find(key(session))) {
      *binding = {endpoint, now, owner(endpoint)};
    } else if (count_ < kSessionsMax) {
      bindings_.insert(key(session), {endpoint, now, owner(endpoint)});
      push(key(session), now);
    }
  }

  // Nobody is bound to it any more. Takes no time, however many were.
  void forget(EndpointId endpoint) {
    if (index_of(endpoint) >= owners_.size()) owners_.resize(index_of(endpoint) + 1);
    ++owners_[index_of(endpoint)];
  }

 private:
  struct Binding {
    EndpointId endpoint{};
    TimePoint used{};
    uint32_t owner = 0;  // the endpoint's number in owners_ when it was bound
  };
  struct Check {
    uint64_t key = 0;
    TimePoint used{};  // when it was queued
  };

  uint32_t owner(EndpointId endpoint) const {
    return index_of(endpoint) < owners_.size() ? owners_[index_of(endpoint)] : 0;
  }

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
  std::vector<uint32_t> owners_;  // by endpoint: how often it was forgotten; 0 beyond its end
  std::vector<Check> queue_;  // a ring, roughly by the time of use
  size_t first_ = 0;
  size_t count_ = 0;
};

}  // namespace kvasir
