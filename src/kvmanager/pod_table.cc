#include "kvmanager/pod_table.h"

#include <utility>

namespace kvasir {

std::optional<EndpointId> PodTable::list(const std::string& name) {
  std::lock_guard lock(mutex_);
  if (by_name_.contains(name) || by_name_.size() >= pods_max_) return std::nullopt;
  const std::optional<EndpointId> id = next_id();
  if (!id) return std::nullopt;
  names_[index_of(*id)] = name;
  by_name_.emplace(name, KnownPod{*id, name, true, false, false, {}});
  return id;
}

std::optional<PodTable::Seen> PodTable::see(std::string_view name, TimePoint now) {
  std::lock_guard lock(mutex_);
  const auto known = by_name_.find(name);
  if (known != by_name_.end()) return Seen{known->second.id, std::nullopt};
  Seen seen;
  if (by_name_.size() >= pods_max_ && !make_room(now, seen.made_room)) return std::nullopt;
  const std::optional<EndpointId> id = next_id();
  if (!id) return std::nullopt;
  seen.id = *id;
  names_[index_of(*id)] = std::string(name);
  by_name_.emplace(std::string(name), KnownPod{*id, std::string(name), false, false, false, now});
  return seen;
}

std::optional<EndpointId> PodTable::next_id() {
  if (names_.size() < ids_max_) {
    names_.emplace_back();
    return EndpointId{static_cast<uint32_t>(names_.size() - 1)};
  }
  if (free_.empty()) return std::nullopt;
  const EndpointId id = free_.front();
  free_.pop_front();
  return id;
}

bool PodTable::make_room(TimePoint now, std::optional<KnownPod>& made_room) {
  if (now < no_room_before_) return false;
  auto oldest = by_name_.end();
  for (auto pod = by_name_.begin(); pod != by_name_.end(); ++pod) {
    if (pod->second.listed || !may_go_(pod->second, now)) continue;
    if (oldest == by_name_.end() || pod->second.heard_at < oldest->second.heard_at) oldest = pod;
  }
  if (oldest == by_name_.end()) {
    no_room_before_ = time_after(now, kRoomSoughtEvery);
    return false;
  }
  made_room = oldest->second;
  erase(oldest);
  return true;
}

void PodTable::erase(std::map<std::string, KnownPod, std::less<>>::iterator pod) {
  names_[index_of(pod->second.id)].clear();
  free_.push_back(pod->second.id);
  by_name_.erase(pod);
}

void PodTable::remove(EndpointId id) {
  std::lock_guard lock(mutex_);
  if (index_of(id) >= names_.size()) return;
  const auto pod = by_name_.find(names_[index_of(id)]);
  if (pod != by_name_.end() && !pod->second.listed) erase(pod);
}

void PodTable::recall(EndpointId id) {
  std::lock_guard lock(mutex_);
  if (index_of(id) >= names_.size()) return;
  const auto pod = by_name_.find(names_[index_of(id)]);
  if (pod != by_name_.end()) pod->second.recalled = true;
}

bool PodTable::hear(EndpointId id, TimePoint now) {
  std::lock_guard lock(mutex_);
  if (index_of(id) >= names_.size()) return false;
  const auto pod = by_name_.find(names_[index_of(id)]);
  if (pod == by_name_.end()) return false;
  pod->second.heard_at = now;
  return !std::exchange(pod->second.heard, true);
}

std::optional<EndpointId> PodTable::find(std::string_view name) const {
  std::lock_guard lock(mutex_);
  const auto pod = by_name_.find(name);
  if (pod == by_name_.end() || !is_there(pod->second)) return std::nullopt;
  return pod->second.id;
}

std::optional<KnownPod> PodTable::pod(EndpointId id) const {
  std::lock_guard lock(mutex_);
  if (index_of(id) >= names_.size()) return std::nullopt;
  const auto pod = by_name_.find(names_[index_of(id)]);
  return pod == by_name_.end() ? std::nullopt : std::optional(pod->second);
}

std::string PodTable::name_of(EndpointId id) const {
  std::lock_guard lock(mutex_);
  return index_of(id) < names_.size() ? names_[index_of(id)] : std::string();
}

std::vector<KnownPod> PodTable::all() const {
  std::lock_guard lock(mutex_);
  std::vector<KnownPod> pods;
  for (const auto& [name, pod] : by_name_) {
    if (is_there(pod)) pods.push_back(pod);
  }
  return pods;
}

}  // namespace kvasir
