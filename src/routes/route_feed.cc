#include "routes/route_feed.h"

#include <utility>

#include "routes/service_addresses.h"

namespace kvasir {
namespace {

bool counts(KubeKind kind) {
  switch (kind) {
    case KubeKind::kGateway:
    case KubeKind::kGatewayClass:
    case KubeKind::kHTTPRoute:
    case KubeKind::kReferenceGrant:
    case KubeKind::kNamespace:
    case KubeKind::kService:
    case KubeKind::kEndpointSlice:
    case KubeKind::kSecret:
    case KubeKind::kInferencePool:
      return true;
    default:
      return false;
  }
}

}  // namespace

RouteFeed::RouteFeed(ObjectStore& store, IsOurs is_ours, Changed changed)
    : store_(store), is_ours_(std::move(is_ours)), changed_(std::move(changed)), current_(made()) {
  store_.add_listener(*this);
}

RouteFeed::~RouteFeed() {
  store_.remove_listener(*this);
}

void RouteFeed::on_change(const ObjectChange& change) {
  stale_ = stale_ || counts(change.kind);
}

void RouteFeed::on_batch_end() {
  if (!std::exchange(stale_, false)) return;
  current_ = made();
  changed_(current_);
}

std::shared_ptr<const CarriedRoutes> RouteFeed::made() const {
  auto carried = std::make_shared<CarriedRoutes>();
  carried->routes = effective_routes(store_, is_ours_);
  for (const RouteTarget& target : carried->routes.targets) {
    if (target.kind != RouteTarget::Kind::kService) continue;
    carried->services.emplace(target, service_members(store_, target.object, target.port));
  }
  return carried;
}

}  // namespace kvasir
