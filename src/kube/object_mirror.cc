#include "kube/object_mirror.h"

#include <utility>

#include "kube/resource_version.h"

namespace kvasir {

ObjectMirror::ObjectMirror(ObjectStore& store, KubeKind kind, Refused refused)
    : store_(store), kind_(kind), source_(store.add_source()), refused_(std::move(refused)) {}

void ObjectMirror::begin_list() {
  ++list_;
  in_list_ = true;
  complete_ = true;
  gone_.clear();
  gone_order_.clear();
}

void ObjectMirror::end_list() {
  in_list_ = false;
  for (auto at = known_.begin(); at != known_.end();) {
    if (at->second.list == list_) {
      ++at;
      continue;
    }
    store_.remove(kind_, at->first, source_);
    at = known_.erase(at);
  }
  std::erase_if(unreadable_, [this](const auto& entry) { return entry.second.list != list_; });
  if (complete_) no_room_told_ = false;
}

void ObjectMirror::take(KubeObjectPtr object) {
  if (is_stale(*object)) return;
  ObjectKey key = object->meta.key();
  unreadable_.erase(key);
  if (!store_.put(kind_, object, source_)) {
    complete_ = false;
    if (!std::exchange(no_room_told_, true)) {
      refused_(key, "the store is full: " + std::to_string(store_.limits().objects) +
                        " objects are the most there may be, and this one and those that come"
                        " after it are left out");
    }
    return;
  }
  known_[std::move(key)] = {std::move(object), list_};
}

void ObjectMirror::take_unreadable(const ObjectKey& key, const std::string& why) {
  if (const auto known = known_.find(key); known != known_.end()) known->second.list = list_;
  const auto found = unreadable_.find(key);
  if (found != unreadable_.end()) {
    found->second.list = list_;
    if (std::exchange(found->second.why, why) != why) refused_(key, why);
  } else if (unreadable_.size() < kRefusedMax) {
    unreadable_[key] = {why, list_};
    refused_(key, why);
  }
}

void ObjectMirror::take_deleted(const ObjectKey& key, const std::string& resource_version) {
  const auto known = known_.find(key);
  if (known != known_.end()) {
    if (is_older_version(resource_version, known->second.object->meta.resource_version)) return;
    store_.remove(kind_, key, source_);
    known_.erase(known);
  }
  unreadable_.erase(key);
  remember_deletion(key, resource_version);
}

// Within a list only what the same list said already counts: a server that was restored from a
// backup begins again with smaller versions.
bool ObjectMirror::is_stale(const KubeObject& object) const {
  const std::string& version = object.meta.resource_version;
  if (const auto known = known_.find(object.meta.key()); known != known_.end()) {
    const bool counts = !in_list_ || known->second.list == list_;
    return counts && is_older_version(version, known->second.object->meta.resource_version);
  }
  const auto gone = gone_.find(object.meta.key());
  return gone != gone_.end() && is_older_version(version, gone->second);
}

void ObjectMirror::remember_deletion(const ObjectKey& key, const std::string& resource_version) {
  if (!gone_.insert_or_assign(key, resource_version).second) return;
  gone_order_.push_back(key);
  if (gone_order_.size() <= kGoneMax) return;
  gone_.erase(gone_order_.front());
  gone_order_.pop_front();
}

}  // namespace kvasir
