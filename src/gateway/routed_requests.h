// Requests by the routes of Gateway API objects, on one thread: finds the rule of each, does what
// its filters say, and sends those for a Service there; those for an InferencePool are the
// gateway's to schedule. Private to gateway/.
//
// Lives on its loop's thread.
#pragma once

#include <map>
#include <memory>

#include "legs/legs_relays.h"
#include "legs/worker_clients.h"
#include "routes/route_feed.h"

namespace kvasir {

class GatewayThread;
class HttpExchange;
class PoolRelays;

class RoutedRequests {
 public:
  // `thread` outlives it.
  explicit RoutedRequests(GatewayThread& thread);

  // From now on; requests under way go on as they began.
  void set_routes(std::shared_ptr<const CarriedRoutes> routes) { routes_ = std::move(routes); }

  // Null: it is answered, or on its way. Else this pool is to schedule it; its head may have
  // changed.
  PoolRelays* take(HttpExchange& exchange);

 private:
  void refuse(HttpExchange& exchange, int status, const std::string& message);
  void redirect(HttpExchange& exchange, const RouteRequest& request, const RouteEntry& entry);
  void send(HttpExchange& exchange, std::shared_ptr<const RouteRule> rule,
            const RouteTarget& target);

  GatewayThread& thread_;
  std::shared_ptr<const CarriedRoutes> routes_;
  WorkerClients clients_;
  LegsRelays relays_;
  uint64_t turns_ = 0;  // among the members of a Service
};

}  // namespace kvasir
