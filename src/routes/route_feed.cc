#include "routes/route_feed.h"

#include <utility>

#include "routes/service_addresses.h"

namespace kvasir {
namespace {

bool changes_routes(KubeKind kind) {
  switch (kind) {
    case KubeKind::kGateway:
    case KubeKind::kGatewayClass:
    case KubeKind::kHTTPRoute:
    case KubeKind::kReferenceGrant:
    case KubeKind::kNamespace:
    case KubeKind::kService:
    case KubeKind::kSecret:
    case KubeKind::kInferencePool:
      return true;
    default:
      return false;
  }
}

}  // namespace

RouteFeed::RouteFeed(ObjectStore& store, IsOurs is_ours, Changed changed)
    : store_(store), is_ours_(std::move(is_ours)), changed_(std::move(changed)), current_(made(effective_routes(store, is_ours_))) {
  store_.add_listener(*this);
}

RouteFeed::~RouteFeed() {
  store_.remove_listener(*this);
}

void RouteFeed::on_change(const ObjectChange& change) {
  routes_stale_ = routes_stale_ || changes_routes(change.kind);
  members_stale_ = members_stale_ || change.kind == KubeKind::kEndpointSlice;
}

void RouteFeed::on_batch_end() {
  const bool new_routes = std::exchange(routes_stale_, false);
  const bool new_members = std::exchange(members_stale_, false);
  if (!new_routes && !new_members) return;
  current_ = made(new_routes ? effective_routes(store_, is_ours_) : current_->routes);
  changed_(current_);
}

std::shared_ptr<const CarriedRoutes> RouteFeed::made(EffectiveRoutes routes) const {
  auto carried = std::make_shared<CarriedRoutes>();
  carried->routes = std::move(routes);
  for (const RouteTarget& target : carried->routes.targets) {
    if (target.kind != RouteTarget::Kind::kService) continue;
    carried->services.emplace(target, service_members(store_, target.object, target.port));
  }
  return carried;
}

}  // namespace kvasir
