#include "kube/object_store.h"

#include <algorithm>

#include "base/assert.h"
#include "kube/resource_version.h"

namespace kvasir {
namespace {

bool is_same(const KubeObject& a, const KubeObject& b) {
  return !a.meta.resource_version.empty() && a.meta.resource_version == b.meta.resource_version &&
         a.meta.uid == b.meta.uid && a.type == b.type;
}

bool is_another(const KubeObject& a, const KubeObject& b) {
  return !a.meta.uid.empty() && !b.meta.uid.empty() && a.meta.uid != b.meta.uid;
}

// Whether `a` is shown rather than `b`, which another source has. The rows of kube_types() lie one
// behind the other, the preferred first.
bool goes_before(const KubeObject& a, const KubeObject& b) {
  if (a.type != b.type) return std::less<>()(a.type, b.type);
  return is_older_version(b.meta.resource_version, a.meta.resource_version);
}

}  // namespace

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

ObjectSource ObjectStore::add_source() {
  return ObjectSource{sources_++};
}

bool ObjectStore::put(KubeKind kind, KubeObjectPtr object, ObjectSource source) {
  KVASIR_ASSERT(object != nullptr, "no object");
  Table& table = tables_[static_cast<size_t>(kind)];
  ObjectKey key = object->meta.key();
  const auto found = table.find(key);
  if (found == table.end()) {
    if (size() + hidden_objects_ >= limits_.objects) return false;
    table.emplace(std::move(key), Entry{object, source});
    tell_change(kind, nullptr, object);
    return true;
  }
  Entry& shown = found->second;
  if (shown.source != source) {
    if (!hide({kind, key}, {std::move(object), source})) return false;
    choose(kind, key, shown);
    return true;
  }
  if (is_same(*shown.object, *object)) return true;
  const KubeObjectPtr before = std::exchange(shown.object, object);
  tell_change(kind, before, object);
  choose(kind, key, shown);
  return true;
}

// Keeps what another source than the one that is shown says.
bool ObjectStore::hide(const Name& name, Entry entry) {
  if (const auto found = hidden_.find(name); found != hidden_.end()) {
    for (Entry& known : found->second) {
      if (known.source != entry.source) continue;
      known.object = std::move(entry.object);
      return true;
    }
  }
  if (size() + hidden_objects_ >= limits_.objects) return false;
  hidden_[name].push_back(std::move(entry));
  ++hidden_objects_;
  return true;
}

// Shows what is hidden when it goes before what is shown.
void ObjectStore::choose(KubeKind kind, const ObjectKey& key, Entry& shown) {
  if (hidden_.empty()) return;
  const auto found = hidden_.find({kind, key});
  if (found == hidden_.end()) return;
  Entry& best = *std::min_element(
      found->second.begin(), found->second.end(),
      [](const Entry& a, const Entry& b) { return goes_before(*a.object, *b.object); });
  if (!goes_before(*best.object, *shown.object)) return;
  std::swap(best, shown);
  tell_change(kind, best.object, shown.object);
}

void ObjectStore::remove(KubeKind kind, const ObjectKey& key, ObjectSource source) {
  Table& table = tables_[static_cast<size_t>(kind)];
  const auto found = table.find(key);
  if (found == table.end()) return;
  Entry& shown = found->second;
  const auto others = hidden_.empty() ? hidden_.end() : hidden_.find({kind, key});
  if (others == hidden_.end()) {
    if (shown.source != source) return;
    const KubeObjectPtr before = std::move(shown.object);
    table.erase(found);
    return tell_change(kind, before, nullptr);
  }
  std::vector<Entry>& hidden = others->second;
  KubeObjectPtr before;
  if (shown.source == source) {
    before = std::exchange(shown, hidden.back()).object;
    hidden.pop_back();
    --hidden_objects_;
  } else {
    hidden_objects_ -=
        std::erase_if(hidden, [&](const Entry& entry) { return entry.source == source; });
  }
  if (hidden.empty()) hidden_.erase(others);
  if (before != nullptr) tell_change(kind, before, shown.object);
  choose(kind, key, shown);
}

void ObjectStore::end_batch() {
  for (ObjectStoreListener* listener : listeners_) listener->on_batch_end();
}

// The store says `after` already.
void ObjectStore::tell_change(KubeKind kind, const KubeObjectPtr& before,
                              const KubeObjectPtr& after) {
  if (before == nullptr || after == nullptr || !is_another(*before, *after)) {
    if (before == nullptr || after == nullptr || !is_same(*before, *after)) {
      tell({kind, before, after});
    }
    return;
  }
  Table& table = tables_[static_cast<size_t>(kind)];
  Table::node_type entry = table.extract(before->meta.key());
  tell({kind, before, nullptr});
  table.insert(std::move(entry));
  tell({kind, nullptr, after});
}

void ObjectStore::tell(const ObjectChange& change) {
  for (ObjectStoreListener* listener : listeners_) listener->on_change(change);
}

KubeObjectPtr ObjectStore::find(KubeKind kind, const ObjectKey& key) const {
  const Table& table = tables_[static_cast<size_t>(kind)];
  const auto found = table.find(key);
  return found == table.end() ? nullptr : found->second.object;
}

void ObjectStore::visit(KubeKind kind, const std::string& name_space,
                        const std::function<void(const KubeObject&)>& f) const {
  const Table& table = tables_[static_cast<size_t>(kind)];
  auto at = name_space.empty() ? table.begin() : table.lower_bound({name_space, ""});
  for (; at != table.end() && (name_space.empty() || at->first.name_space == name_space); ++at) {
    f(*at->second.object);
  }
}

}  // namespace kvasir
