// Requests by the routes of Gateway API objects, on one thread: finds the rule of each, does what
// its filters say, and sends it to the Service or has it scheduled in the InferencePool. Private to
// gateway/.
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

class RoutedRequests {
 public:
  // `thread` outlives it.
  explicit RoutedRequests(GatewayThread& thread);

  // From now on; requests under way go on as they began.
  void set_routes(std::shared_ptr<const CarriedRoutes> routes) { routes_ = std::move(routes); }

  void take(HttpExchange& exchange);

 private:
  void take(HttpExchange& client, const RouteRequest& request, const RouteEntry& entry);
  void refuse(HttpExchange& exchange, int status, const std::string& message);
  void redirect(HttpExchange& exchange, const HTTPRoute::Redirect& redirect,
                const RouteRequest& request, const RouteEntry& entry);
  void change_request(HttpExchange& exchange, const RouteRequest& request, const RouteEntry& entry,
                      const RouteBackend& backend);
  void send(HttpExchange& exchange, std::shared_ptr<const RouteRule> rule,
            const RouteTarget& target);

  GatewayThread& thread_;
  std::shared_ptr<const CarriedRoutes> routes_;
  WorkerClients clients_;
  LegsRelays relays_;
  uint64_t turns_ = 0;  // among the members of a Service
};

}  // namespace kvasir
