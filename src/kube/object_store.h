// Kubernetes objects by kind, namespace and name: one place, whoever fills it (the API server, or
// files), and listeners that see every change in order.
//
// Several may fill it, and each is a source of its own: two reflectors whose selectors overlap, or
// two API groups that have the same kind. Where two sources have an object of the same kind,
// namespace and name, one is shown: that of the preferred group (the order of kube_types()), then
// that with the newer resource version. When its source removes it, the other comes to light.
//
// Lives on one thread. Listeners neither come nor go, and nobody fills it, during a call to one of
// them. Objects are immutable and shared: what a listener keeps stays as it was.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "wire/kube/kube_reader.h"

namespace kvasir {

struct ObjectStoreLimits {
  size_t objects = 100'000;  // of all kinds and sources; more are refused
};

// Names one who fills the store. Who does not ask for a name of their own shares the first.
enum class ObjectSource : uint32_t {};

// One change; `before` is null for a new object, `after` for one that is gone. An object that was
// deleted and made again under the same name (another uid) is two changes.
struct ObjectChange {
  KubeKind kind;
  KubeObjectPtr before;
  KubeObjectPtr after;

  const KubeObject& object() const { return after != nullptr ? *after : *before; }
};

class ObjectStoreListener {
 public:
  virtual ~ObjectStoreListener() = default;
  // During the call the store already says `after`.
  virtual void on_change(const ObjectChange& change) = 0;
  // A batch is over (one read of a watch, one page of a list, one look at files): what is worked
  // out from many objects is worked out here, once.
  virtual void on_batch_end() {}
};

class ObjectStore {
 public:
  explicit ObjectStore(ObjectStoreLimits limits = {}) : limits_(limits) {}
  ObjectStore(const ObjectStore&) = delete;
  ObjectStore& operator=(const ObjectStore&) = delete;

  // Null: there is none.
  template <class T>
  std::shared_ptr<const T> get(const std::string& name_space, const std::string& name) const {
    return std::static_pointer_cast<const T>(find(T::kKind, {name_space, name}));
  }
  // Calls `f(const T&)` for each, ordered by namespace and name; of one namespace unless it is
  // empty. `f` must not change the store.
  template <class T, class F>
  void for_each(const std::string& name_space, F&& f) const {
    visit(T::kKind, name_space,
          [&](const KubeObject& object) { f(static_cast<const T&>(object)); });
  }
  size_t size(KubeKind kind) const;
  size_t size() const;

  // Listeners hear of changes in the order in which they were added, and must be removed before
  // they are destroyed.
  void add_listener(ObjectStoreListener& listener);
  void remove_listener(ObjectStoreListener& listener);

  // For those who fill it. An object with the uid and the resource version that are there already
  // is no change. False: refused, too many objects.
  ObjectSource add_source();
  bool put(KubeKind kind, KubeObjectPtr object, ObjectSource source = {});
  void remove(KubeKind kind, const ObjectKey& key, ObjectSource source = {});
  void end_batch();
  const ObjectStoreLimits& limits() const { return limits_; }

 private:
  // What one source says.
  struct Entry {
    KubeObjectPtr object;
    ObjectSource source;
  };
  using Table = std::map<ObjectKey, Entry>;  // what is shown
  using Name = std::pair<KubeKind, ObjectKey>;

  bool hide(const Name& name, Entry entry);
  void choose(KubeKind kind, const ObjectKey& key, Entry& shown);
  void tell_change(KubeKind kind, const KubeObjectPtr& before, const KubeObjectPtr& after);
  void tell(const ObjectChange& change);
  KubeObjectPtr find(KubeKind kind, const ObjectKey& key) const;
  void visit(KubeKind kind, const std::string& name_space,
             const std::function<void(const KubeObject&)>& f) const;

  const ObjectStoreLimits limits_;
  std::array<Table, kKubeKinds> tables_;
  // What other sources say of what is shown; most often empty.
  std::map<Name, std::vector<Entry>> hidden_;
  size_t hidden_objects_ = 0;
  uint32_t sources_ = 1;
  std::vector<ObjectStoreListener*> listeners_;
};

}  // namespace kvasir
