// What the InferenceObjectives and InferenceModelRewrites of one pool say, as the store has them:
// tables that do not change, given out anew whenever they would.
//
// An object belongs to the pool that its poolRef names, in its own namespace. One that is being
// deleted does not count. Where llm-d.ai and the older group have objects of the same name, the
// store shows llm-d.ai's. Lives on the store's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "cluster/pool_selection.h"
#include "kube/object_store.h"
#include "model/model_rewrites.h"

namespace kvasir {

class PoolObjects final : private ObjectStoreListener {
 public:
  // Priorities by the name of the objective.
  using Priorities = std::map<std::string, int32_t, std::less<>>;
  struct Listener {
    std::function<void(std::shared_ptr<const Priorities>)> on_priorities;
    std::function<void(std::shared_ptr<const ModelRewriteTable>)> on_rewrites;
  };

  // Tells the listener at once what there is. `store` must outlive it.
  PoolObjects(ObjectStore& store, PoolSelection selection, Listener listener);
  ~PoolObjects() override;
  PoolObjects(const PoolObjects&) = delete;
  PoolObjects& operator=(const PoolObjects&) = delete;

 private:
  void on_change(const ObjectChange& change) override;
  void on_batch_end() override;
  void tell_priorities();
  void tell_rewrites();

  ObjectStore& store_;
  const PoolSelection selection_;
  const Listener listener_;
  bool priorities_changed_ = true;
  bool rewrites_changed_ = true;
};

}  // namespace kvasir
