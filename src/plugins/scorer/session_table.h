// Which endpoint each session is bound to, until it has not been used for a while.
//
// One hash is one session. Allocates nothing once it has held the most sessions it will hold. Not
// thread-safe.
//
// Tables of several replicas come to agree: each hands out what is new (take_new) and, in turn, all
// that it knows (take_known); learn() keeps the binding that was used last.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "model/endpoint.h"
#include "plugins/producer/booking_map.h"

namespace kvasir {

class SessionTable {
 public:
  // Bounds the memory to some tens of megabytes; more sessions are not bound.
  static constexpr size_t kSessionsMax = 1'000'000;
  // New bindings that wait to be taken; more are found by take_known().
  static constexpr size_t kNewMax = 8 * 1024;
  // A binding that is used is news again after this.
  static constexpr Duration kNewsAgain = std::chrono::seconds(1);
  // Uses that are not further apart count as simultaneous: the replicas' ages are told so exactly.
  static constexpr Duration kSimultaneous = std::chrono::milliseconds(250);

  explicit SessionTable(Duration ttl) : ttl_(ttl), queue_(64) {}

  size_t size() const { return count_; }

  // The bindings of `other`, which is not used afterwards; the time to live stays.
  void take_over(SessionTable& other) {
    bindings_ = std::move(other.bindings_);
    owners_ = std::move(other.owners_);
    queue_ = std::move(other.queue_);
    first_ = other.first_;
    count_ = other.count_;
    new_ = std::move(other.new_);
    removed_ = other.removed_;
    next_known_ = other.next_known_;
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
      const bool news = binding->endpoint != endpoint || binding->news_at + kNewsAgain <= now;
      *binding = {endpoint, now, news ? now : binding->news_at, owner(endpoint)};
      if (news) add_news(key(session));
    } else if (count_ < kSessionsMax) {
      bindings_.insert(key(session), {endpoint, now, now, owner(endpoint)});
      push(key(session), now);
      add_news(key(session));
    }
  }

  // Nobody is bound to it any more. Takes no time, however many were.
  void forget(EndpointId endpoint) {
    if (index_of(endpoint) >= owners_.size()) owners_.resize(index_of(endpoint) + 1);
    ++owners_[index_of(endpoint)];
  }

  // Another replica sent the session there, at `used`. `wins_tie(held)`: whether its endpoint is
  // kept when both were used at the same time; every replica must answer alike.
  template <class WinsTie>
  void learn(uint64_t session, EndpointId endpoint, TimePoint used, TimePoint now,
             WinsTie&& wins_tie) {
    if (used + ttl_ <= now) return;
    forget_expired(now);
    Binding* held = bindings_.find(key(session));
    if (held == nullptr) {
      if (count_ >= kSessionsMax) return;
      bindings_.insert(key(session), {endpoint, used, now, owner(endpoint)});
      return push(key(session), used);
    }
    const bool simultaneous =
        used <= held->used + kSimultaneous && held->used <= used + kSimultaneous;
    if (simultaneous && (endpoint == held->endpoint || !wins_tie(held->endpoint))) return;
    if (simultaneous || used > held->used) *held = {endpoint, used, now, owner(endpoint)};
  }

  // Calls use(session, endpoint, used) for up to `most` bindings that are new here.
  template <class Use>
  void take_new(size_t most, Use&& use) {
    const size_t taken = std::min(most, new_.size());
    for (size_t i = 0; i < taken; ++i) tell(new_[i], use);
    new_.erase(new_.begin(), new_.begin() + static_cast<ptrdiff_t>(taken));
  }

  // The same for any, in turn. True: the last of them was reached, the next call starts again.
  template <class Use>
  bool take_known(size_t most, Use&& use) {
    next_known_ = std::max(next_known_, removed_);
    for (; most > 0 && next_known_ < removed_ + count_; --most, ++next_known_) {
      tell(queue_[(first_ + (next_known_ - removed_)) % queue_.size()].key, use);
    }
    if (next_known_ < removed_ + count_) return false;
    next_known_ = removed_;
    return true;
  }

 private:
  struct Binding {
    EndpointId endpoint{};
    TimePoint used{};
    TimePoint news_at{};  // when the other replicas were told last, or told us
    uint32_t owner = 0;   // the endpoint's number in owners_ when it was bound
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
      ++removed_;
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

  void add_news(uint64_t session) {
    if (new_.size() < kNewMax) new_.push_back(session);
  }

  template <class Use>
  void tell(uint64_t session, Use&& use) const {
    const Binding* binding = bindings_.find(session);
    if (binding != nullptr) use(session, binding->endpoint, binding->used);
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
  std::vector<uint64_t> new_;  // sessions, in the order they were bound
  // Places in the queue are counted from its first use, so that they stay while it moves.
  uint64_t removed_ = 0;
  uint64_t next_known_ = 0;
};

}  // namespace kvasir
