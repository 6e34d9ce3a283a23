// Priorities by the name of an InferenceObjective, as the store has them for one pool.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/guarded.h"
#include "cluster/pool_selection.h"
#include "kube/object_store.h"

namespace kvasir {

// Changes on the store's thread; priority() is for any thread.
class Objectives final : private ObjectStoreListener {
 public:
  Objectives(ObjectStore& store, const PoolSelection& selection);
  ~Objectives() override;
  Objectives(const Objectives&) = delete;
  Objectives& operator=(const Objectives&) = delete;

  // nullopt: there is none of that name for this pool, which means 0.
  std::optional<int32_t> priority(std::string_view objective) const;
  size_t size() const;

 private:
  using Table = std::map<std::string, int32_t, std::less<>>;

  void on_change(const ObjectChange& change) override;
  void on_batch_end() override;

  ObjectStore& store_;
  const PoolSelection selection_;
  bool changed_ = true;
  Guarded<std::shared_ptr<const Table>> table_;
};

}  // namespace kvasir
