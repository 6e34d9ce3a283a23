// Follows the objects that routes are made of, and gives out what they come to whenever it changes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "kube/object_store.h"
#include "net/io/socket.h"
#include "routes/effective_routes.h"

namespace kvasir {

// All that is needed to carry requests by routes; does not change.
struct CarriedRoutes {
  EffectiveRoutes routes;
  std::map<RouteTarget, std::vector<HostPort>> services;  // of every Service target
};

// Lives on the store's thread.
class RouteFeed final : private ObjectStoreListener {
 public:
  using IsOurs = std::function<bool(const KubeGateway&)>;
  using Changed = std::function<void(std::shared_ptr<const CarriedRoutes>)>;

  // `changed` is called at the end of each batch that touched an object of a kind that counts,
  // never from here: see current(). `store` must outlive it.
  RouteFeed(ObjectStore& store, IsOurs is_ours, Changed changed);
  ~RouteFeed() override;
  RouteFeed(const RouteFeed&) = delete;
  RouteFeed& operator=(const RouteFeed&) = delete;

  const std::shared_ptr<const CarriedRoutes>& current() const { return current_; }

 private:
  void on_change(const ObjectChange& change) override;
  void on_batch_end() override;
  std::shared_ptr<const CarriedRoutes> made(EffectiveRoutes routes) const;

  ObjectStore& store_;
  const IsOurs is_ours_;
  const Changed changed_;
  std::shared_ptr<const CarriedRoutes> current_;
  bool routes_stale_ = false;
  bool members_stale_ = false;  // of Services alone: the table stays
};

}  // namespace kvasir
