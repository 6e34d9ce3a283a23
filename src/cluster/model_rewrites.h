// Which model a request is sent on with: the InferenceModelRewrites of one pool.
//
// A rule that names the model beats one that names none; of equals the oldest object, then the
// name, then the first rule. Of a rule's targets one is drawn by weight; targets without weights
// count alike, and beside weighted ones are never drawn (llm-d-router v0.10.0, docs and
// pkg/epp/requestcontrol).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/guarded.h"
#include "base/random.h"
#include "cluster/pool_selection.h"
#include "kube/object_store.h"

namespace kvasir {

// Changes on the store's thread; target() is for any thread.
class ModelRewrites final : private ObjectStoreListener {
 public:
  ModelRewrites(ObjectStore& store, const PoolSelection& selection);
  ~ModelRewrites() override;
  ModelRewrites(const ModelRewrites&) = delete;
  ModelRewrites& operator=(const ModelRewrites&) = delete;

  // nullopt: no rule is for that model.
  std::optional<std::string> target(std::string_view model, Random& random) const;
  bool empty() const;

 private:
  struct Table;

  void on_change(const ObjectChange& change) override;
  void on_batch_end() override;

  ObjectStore& store_;
  const PoolSelection selection_;
  bool changed_ = true;
  Guarded<std::shared_ptr<const Table>> table_;
};

}  // namespace kvasir
