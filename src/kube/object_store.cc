#include "kube/object_store.h"

#include <algorithm>

#include "base/assert.h"

namespace kvasir {

size_t ObjectStore::size(KubeKind kind) const {
  return tables_[static_cast<size_t>(kind)].size();
}

size_t ObjectStore::size() const {
  size_t size = 0;
  for (const Table& table : tables_) size += table.size();
  return size;
}

void ObjectStore::add_listener(ObjectStoreListener& listener) {
  listeners_.push_back(&listener);
}

void ObjectStore::remove_listener(ObjectStoreListener& listener) {
  std::erase(listeners_, &listener);
}

bool ObjectStore::put(KubeKind kind, KubeObjectPtr object) {
  KVASIR_ASSERT(object != nullptr, "no object");
  Table& table = tables_[static_cast<size_t>(kind)];
  const auto [place, is_new] = table.try_emplace(object->meta.key(), object);
  if (is_new && size() > limits_.objects) {
    table.erase(place);
    return false;
  }
  KubeObjectPtr before;
  if (!is_new) {
    const ObjectMeta& known = place->second->meta;
    const bool same = !known.resource_version.empty() &&
                      known.resource_version == object->meta.resource_version &&
                      known.uid == object->meta.uid;
    if (same) return true;
    before = std::exchange(place->second, object);
  }
  tell({kind, std::move(before), std::move(object)});
  return true;
}

void ObjectStore::remove(KubeKind kind, const ObjectKey& key) {
  Table& table = tables_[static_cast<size_t>(kind)];
  const auto found = table.find(key);
  if (found == table.end()) return;
  KubeObjectPtr before = std::move(found->second);
  table.erase(found);
  tell({kind, std::move(before), nullptr});
}

void ObjectStore::end_batch() {
  for (ObjectStoreListener* listener : listeners_) listener->on_batch_end();
}

void ObjectStore::tell(const ObjectChange& change) {
  for (ObjectStoreListener* listener : listeners_) listener->on_change(change);
}

KubeObjectPtr ObjectStore::find(KubeKind kind, const ObjectKey& key) const {
  const Table& table = tables_[static_cast<size_t>(kind)];
  const auto found = table.find(key);
  return found == table.end() ? nullptr : found->second;
}

void ObjectStore::visit(KubeKind kind, const std::string& name_space,
                        const std::function<void(const KubeObject&)>& f) const {
  const Table& table = tables_[static_cast<size_t>(kind)];
  auto at = name_space.empty() ? table.begin() : table.lower_bound({name_space, ""});
  for (; at != table.end() && (name_space.empty() || at->first.name_space == name_space); ++at) {
    f(*at->second);
  }
}

}  // namespace kvasir
