// The endpoints a gateway or picker may choose from, and what is known of each.
//
// A fleet has a fixed number of slots; EndpointId is a slot. Endpoints come and go: a slot may be
// empty, and later belong to another endpoint.
//
// Thread-safe. Readers take a Snapshot, which never changes; writers publish a new one. Changes of
// membership, and the feeds that follow them, belong on one thread: a feed that writes about a slot
// must know whose it is.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fleet/snapshot.h"
#include "model/endpoint.h"

namespace kvasir {

// Some endpoints of many.
struct EndpointChanges {
  std::vector<Endpoint> put;         // new ones, and those with other labels or another address
  std::vector<std::string> removed;  // by name; a name that is not there is ignored

  bool empty() const { return put.empty() && removed.empty(); }
};

// What replace_all() or apply() did. All empty: nobody came or went, labels may have changed.
struct MembershipChange {
  std::vector<EndpointId> added;
  std::vector<EndpointId> removed;
  std::vector<Endpoint> refused;  // no slot was left, or the name was taken
};

class Fleet {
 public:
  // Of endpoints that left, as many keep their slot, and so what others know by it (a prefix
  // index), as there are endpoints present; and in a small fleet this many.
  static constexpr size_t kDepartedMin = 8;

  // Empty, with that many slots.
  explicit Fleet(size_t capacity);
  // As many slots as endpoints: endpoints[i] gets EndpointId i.
  explicit Fleet(std::vector<Endpoint> endpoints);

  std::shared_ptr<const Snapshot> snapshot() const;
  // Slots, empty ones included.
  size_t size() const { return size_; }

  // An endpoint (name and address) that is there keeps its slot and its state, and gets the new
  // labels. One that was there before gets its old slot when that is still free. Otherwise a slot
  // that nobody ever had, or else, or when too many that left have one, the slot that has been free
  // for longest. nullopt: no slot is free, or the name belongs to another address.
  std::optional<EndpointId> add(Endpoint endpoint);
  // Does nothing to an empty slot. Requests that run there go on.
  void remove(EndpointId endpoint);
  // The fleet is these, in one publication. First come, first served when they are too many, and of
  // those served who had a slot before chooses first.
  MembershipChange replace_all(std::vector<Endpoint> endpoints);
  // The same for some of them, as if it were given the whole list: all others stay. Nothing is
  // published when nothing changes.
  MembershipChange apply(EndpointChanges changes);

  // All ignore a value that is already there, and news of an empty slot.
  void set_healthy(EndpointId endpoint, bool healthy);
  void set_reachable(EndpointId endpoint, bool reachable);
  void set_ejected(EndpointId endpoint, bool ejected);
  void set_kv_capacity(EndpointId endpoint, uint64_t tokens);
  // One publication for a whole scraping round. Endpoints that are not named keep what they had.
  void set_metrics(std::vector<std::pair<EndpointId, EngineMetrics>> round);

 private:
  template <class Change>
  void publish(EndpointId endpoint, Change&& change);
  template <class Leaves>
  MembershipChange update(std::vector<Endpoint> put, Leaves&& leaves);
  void publish(std::shared_ptr<const Snapshot> next);
  EndpointId place(Snapshot& next, Endpoint endpoint, size_t present);
  uint32_t take_slot(const Snapshot& fleet, const Endpoint& endpoint, size_t present);
  void vacate(Snapshot& next, uint32_t slot);
  size_t free_slots() const { return vacated_.size() + size_ - never_used_; }
  bool had_slot(const Endpoint& endpoint) const;

  const size_t size_;
  std::mutex writers_;   // one at a time; held while the next snapshot is made
  uint32_t never_used_;  // the first slot that nobody ever had; under writers_, as what follows
  std::list<uint32_t> vacated_;  // free slots that had an owner, longest free first
  // By who it was; of several the latest.
  std::unordered_map<std::string, std::list<uint32_t>::iterator> vacated_by_owner_;
  mutable std::mutex mutex_;  // of current_; held for the exchange of a pointer only
  std::shared_ptr<const Snapshot> current_;
};

}  // namespace kvasir
