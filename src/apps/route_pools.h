// Keeps the pools of a gateway equal to the InferencePools that its routes name: each has the
// endpoints, priorities and model rewrites that the objects of the store say.
//
// Lives on the store's thread. Nothing here is called while the store tells of a change.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cluster/pool_objects.h"
#include "kube/object_store.h"
#include "routes/effective_routes.h"
#include "serving/pool_options.h"

namespace kvasir {

class Gateway;
class PoolsMetrics;

// By --pool-config: the configurations of some pools.
using PoolConfigFiles = std::map<ObjectKey, std::string>;

// "NAMESPACE/NAME=FILE", each.
Result<PoolConfigFiles> read_pool_configs(const std::vector<std::string>& texts);

class RoutePools {
 public:
  // Pools beyond them are not made; each has threads' memory and connections of its own.
  static constexpr size_t kPoolsMost = 256;

  // `ready`: whether the store holds all there is. All references must outlive it.
  RoutePools(ObjectStore& store, Gateway& gateway, PoolsMetrics& metrics, PoolConfigFiles configs,
             std::function<bool()> ready);
  ~RoutePools();

  // Makes those that are named and not there yet, but for the gateway's own. Returns why some could
  // not be made; those are tried again the next time.
  std::vector<Error> add_named(const EffectiveRoutes& routes);
  // Removes those that are not named any more.
  void remove_unnamed(const EffectiveRoutes& routes);

 private:
  struct Served {
    std::string group;  // of the InferencePool
    std::unique_ptr<PoolObjects> objects;
  };
  Result<PoolOptions> options_of(const PoolSelection& selection) const;
  Result<void> add(const PoolSelection& selection);
  PoolSelection selection_of(const ObjectKey& pool) const;
  void remove(const ObjectKey& pool);

  ObjectStore& store_;
  Gateway& gateway_;
  PoolsMetrics& metrics_;
  const PoolConfigFiles configs_;
  const std::function<bool()> ready_;
  std::map<ObjectKey, Served> served_;
};

}  // namespace kvasir
