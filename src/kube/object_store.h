// Kubernetes objects by kind, namespace and name: one place, whoever fills it (the API server, or
// files), and listeners that see every change in order.
//
// Lives on one thread. Listeners neither come nor go, and nobody fills it, during a call to one of
// them. Objects are immutable and shared: what a listener keeps stays as it was.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "wire/kube/kube_reader.h"

namespace kvasir {

struct ObjectStoreLimits {
  size_t objects = 100'000;  // of all kinds; more are refused
};

// One change; `before` is null for a new object, `after` for one that is gone.
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
  // A batch is over (one read of a watch, one list, one look at files): what is worked out from
  // many objects is worked out here, once.
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
  bool put(KubeKind kind, KubeObjectPtr object);
  void remove(KubeKind kind, const ObjectKey& key);
  void end_batch();

 private:
  using Table = std::map<ObjectKey, KubeObjectPtr>;

  void tell(const ObjectChange& change);
  KubeObjectPtr find(KubeKind kind, const ObjectKey& key) const;
  void visit(KubeKind kind, const std::string& name_space,
             const std::function<void(const KubeObject&)>& f) const;

  const ObjectStoreLimits limits_;
  std::array<Table, kKubeKinds> tables_;
  std::vector<ObjectStoreListener*> listeners_;
};

}  // namespace kvasir
