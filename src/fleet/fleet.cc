#include "fleet/fleet.h"

#include <algorithm>
#include <iterator>
#include <unordered_map>
#include <unordered_set>

#include "base/assert.h"

namespace kvasir {
namespace {

bool is_same(const Endpoint& a, const Endpoint& b) {
  return a.name == b.name && a.host == b.host && a.port == b.port;
}

std::string owner_key(const Endpoint& endpoint) {
  return endpoint.name + "\n" + endpoint.host + "\n" + std::to_string(endpoint.port);
}

std::shared_ptr<const Snapshot> snapshot_of(std::vector<Endpoint> endpoints) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->endpoints.resize(endpoints.size());
  for (size_t i = 0; i < endpoints.size(); ++i) {
    snapshot->endpoints[i].endpoint = std::make_shared<const Endpoint>(std::move(endpoints[i]));
    snapshot->endpoints[i].present = true;
  }
  return snapshot;
}

std::shared_ptr<const Snapshot> empty_snapshot(size_t capacity) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->endpoints.resize(capacity);
  return snapshot;
}

const EndpointState* find_present(const Snapshot& fleet, std::string_view name) {
  for (const EndpointState& state : fleet.endpoints) {
    if (state.present && state.endpoint->name == name) return &state;
  }
  return nullptr;
}

}  // namespace

Fleet::Fleet(size_t capacity)
    : size_(capacity), never_used_(0), current_(empty_snapshot(capacity)) {}

Fleet::Fleet(std::vector<Endpoint> endpoints)
    : size_(endpoints.size()),
      never_used_(static_cast<uint32_t>(size_)),
      current_(snapshot_of(std::move(endpoints))) {}

std::shared_ptr<const Snapshot> Fleet::snapshot() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return current_;
}

void Fleet::publish(std::shared_ptr<const Snapshot> next) {
  std::lock_guard<std::mutex> lock(mutex_);
  current_.swap(next);
}

// `change` edits the state it is given and says whether it did. Only writers replace current_, so
// they may read it without mutex_.
template <class Change>
void Fleet::publish(EndpointId endpoint, Change&& change) {
  KVASIR_ASSERT(index_of(endpoint) < size_, "the endpoint belongs to this fleet");
  std::lock_guard<std::mutex> lock(writers_);
  EndpointState state = current_->endpoints[index_of(endpoint)];
  if (!state.present || !change(state)) return;
  auto next = std::make_shared<Snapshot>(*current_);
  next->endpoints[index_of(endpoint)] = std::move(state);
  publish(std::move(next));
}

std::optional<EndpointId> Fleet::add(Endpoint endpoint) {
  std::lock_guard<std::mutex> lock(writers_);
  auto next = std::make_shared<Snapshot>(*current_);
  ++next->generation;
  const EndpointState* there = find_present(*next, endpoint.name);
  if (there != nullptr) {
    if (!is_same(*there->endpoint, endpoint)) return std::nullopt;
    const auto slot = static_cast<size_t>(there - next->endpoints.data());
    if (there->endpoint->labels != endpoint.labels) {
      next->endpoints[slot].endpoint = std::make_shared<const Endpoint>(std::move(endpoint));
      publish(std::move(next));
    }
    return EndpointId(static_cast<uint32_t>(slot));
  }
  if (free_slots() == 0) return std::nullopt;
  const EndpointId id = place(*next, std::move(endpoint), size_ - free_slots() + 1);
  publish(std::move(next));
  return id;
}

void Fleet::remove(EndpointId endpoint) {
  KVASIR_ASSERT(index_of(endpoint) < size_, "the endpoint belongs to this fleet");
  std::lock_guard<std::mutex> lock(writers_);
  if (!current_->endpoints[index_of(endpoint)].present) return;
  auto next = std::make_shared<Snapshot>(*current_);
  ++next->generation;
  vacate(*next, index_of(endpoint));
  publish(std::move(next));
}

MembershipChange Fleet::replace_all(std::vector<Endpoint> endpoints) {
  return update(std::move(endpoints), [](const std::string&) { return true; });
}

MembershipChange Fleet::apply(EndpointChanges changes) {
  const std::unordered_set<std::string_view> gone(changes.removed.begin(), changes.removed.end());
  return update(std::move(changes.put),
                [&gone](const std::string& name) { return gone.contains(name); });
}

// `leaves`: whether one that is present, and not among `endpoints`, goes.
template <class Leaves>
MembershipChange Fleet::update(std::vector<Endpoint> endpoints, Leaves&& leaves) {
  std::lock_guard<std::mutex> lock(writers_);
  MembershipChange change;
  auto next = std::make_shared<Snapshot>(*current_);
  ++next->generation;
  std::unordered_map<std::string_view, size_t> wanted;  // by name; its place in `endpoints`
  std::vector<bool> settled(endpoints.size());          // nothing is left to be done
  for (size_t i = 0; i < endpoints.size(); ++i) {
    if (wanted.emplace(endpoints[i].name, i).second) continue;
    change.refused.push_back(endpoints[i]);
    settled[i] = true;
  }
  bool relabelled = false;
  for (uint32_t slot = 0; slot < size_; ++slot) {
    EndpointState& state = next->endpoints[slot];
    if (!state.present) continue;
    const auto found = wanted.find(state.endpoint->name);
    if (found == wanted.end() && !leaves(state.endpoint->name)) continue;
    if (found == wanted.end() || !is_same(endpoints[found->second], *state.endpoint)) {
      vacate(*next, slot);
      change.removed.push_back(EndpointId(slot));
      continue;
    }
    settled[found->second] = true;
    if (endpoints[found->second].labels == state.endpoint->labels) continue;
    state.endpoint = std::make_shared<const Endpoint>(endpoints[found->second]);
    relabelled = true;
  }
  std::vector<const Endpoint*> joining;
  for (size_t i = 0; i < endpoints.size(); ++i) {
    if (settled[i]) continue;
    if (joining.size() < free_slots()) {
      joining.push_back(&endpoints[i]);
    } else {
      change.refused.push_back(endpoints[i]);
    }
  }
  // Who returns chooses first: a newcomer might be given its slot.
  std::stable_partition(joining.begin(), joining.end(),
                        [this](const Endpoint* endpoint) { return had_slot(*endpoint); });
  const size_t present = size_ - free_slots() + joining.size();
  for (const Endpoint* endpoint : joining) {
    change.added.push_back(place(*next, *endpoint, present));
  }
  if (relabelled || !change.added.empty() || !change.removed.empty()) publish(std::move(next));
  return change;
}

// A slot is free. `present`: how many there are when this change is complete.
EndpointId Fleet::place(Snapshot& next, Endpoint endpoint, size_t present) {
  const uint32_t slot = take_slot(next, endpoint, present);
  EndpointState& old = next.endpoints[slot];
  EndpointState state;
  state.joined = next.generation;
  state.owned_since = is_same(*old.endpoint, endpoint) ? old.owned_since : next.generation;
  state.endpoint = std::make_shared<const Endpoint>(std::move(endpoint));
  state.present = true;
  old = std::move(state);
  return EndpointId(slot);
}

bool Fleet::had_slot(const Endpoint& endpoint) const {
  return vacated_by_owner_.find(owner_key(endpoint)) != vacated_by_owner_.end();
}

// Its old one; or else one that nobody ever had, so that in a rolling update whoever returns finds
// its own; or else, and when more are kept for the departed than may be, the longest free.
uint32_t Fleet::take_slot(const Snapshot& fleet, const Endpoint& endpoint, size_t present) {
  const auto own = vacated_by_owner_.find(owner_key(endpoint));
  if (own == vacated_by_owner_.end()) {
    const bool may_keep_all = vacated_.size() <= std::max(present, kDepartedMin);
    if (never_used_ < size_ && may_keep_all) return never_used_++;
  }
  const auto taken = own != vacated_by_owner_.end() ? own->second : vacated_.begin();
  const uint32_t slot = *taken;
  vacated_by_owner_.erase(owner_key(*fleet.endpoints[slot].endpoint));
  vacated_.erase(taken);
  return slot;
}

// The slot remembers whose it was.
void Fleet::vacate(Snapshot& next, uint32_t slot) {
  EndpointState& old = next.endpoints[slot];
  EndpointState state;
  state.endpoint = old.endpoint;
  state.joined = old.joined;
  state.owned_since = old.owned_since;
  vacated_.push_back(slot);
  vacated_by_owner_[owner_key(*old.endpoint)] = std::prev(vacated_.end());
  old = std::move(state);
}

void Fleet::set_healthy(EndpointId endpoint, bool healthy) {
  publish(endpoint, [healthy](EndpointState& state) {
    return std::exchange(state.healthy, healthy) != healthy;
  });
}

void Fleet::set_reachable(EndpointId endpoint, bool reachable) {
  publish(endpoint, [reachable](EndpointState& state) {
    return std::exchange(state.reachable, reachable) != reachable;
  });
}

void Fleet::set_ejected(EndpointId endpoint, bool ejected) {
  publish(endpoint, [ejected](EndpointState& state) {
    return std::exchange(state.ejected, ejected) != ejected;
  });
}

void Fleet::set_kv_capacity(EndpointId endpoint, uint64_t tokens) {
  publish(endpoint, [tokens](EndpointState& state) {
    return std::exchange(state.kv_capacity_tokens, tokens) != tokens;
  });
}

void Fleet::set_metrics(std::vector<std::pair<EndpointId, EngineMetrics>> round) {
  if (round.empty()) return;
  std::lock_guard<std::mutex> lock(writers_);
  auto next = std::make_shared<Snapshot>(*current_);
  for (auto& [endpoint, metrics] : round) {
    KVASIR_ASSERT(index_of(endpoint) < size_, "the endpoint belongs to this fleet");
    EndpointState& state = next->endpoints[index_of(endpoint)];
    if (state.present) state.metrics = std::move(metrics);
  }
  publish(std::move(next));
}

}  // namespace kvasir
