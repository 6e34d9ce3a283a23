// Requests by the routes of Gateway API objects, on one thread: finds the rule of each, does what
// its filters say, and sends it to the Service or has it scheduled in the InferencePool. Private to
// gateway/.
//
// Lives on its loop's thread.
#pragma once

#include <map>
#include <memory>

#include "gateway/mirrors.h"
#include "gateway/service_requests.h"
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

  void take(HttpExchange& exchange);

 private:
  void take(HttpExchange& client, const RouteRequest& request, const RouteEntry& entry);
  void send_on(HttpExchange& exchange, const RouteRequest& request, const RouteEntry& entry,
               const RouteBackend& backend);
  const std::vector<HostPort>& members_of(const RouteTarget& service) const {
    return routes_->services.at(service);
  }
  // Null: it is no pool, or none that is served here.
  PoolRelays* pool_of(const RouteTarget& target) const;
  void refuse(HttpExchange& exchange, int status, const std::string& message);
  void redirect(HttpExchange& exchange, const HTTPRoute::Redirect& redirect,
                const RouteRequest& request, const RouteEntry& entry);
  void change_request(HttpExchange& exchange, const RouteRequest& request, const RouteEntry& entry,
                      const RouteBackend& backend);
  // Copies of the request as its backend gets it, by the rule's filters.
  void mirror(HttpExchange& exchange, const std::shared_ptr<const RouteRule>& rule);
  void send_mirror(const HttpHead& head, std::shared_ptr<const std::string> body,
                   const std::shared_ptr<const RouteRule>& rule, const RouteTarget& target);

  GatewayThread& thread_;
  std::shared_ptr<const CarriedRoutes> routes_;
  Mirrors mirrors_;
  ServiceRequests services_;
};

}  // namespace kvasir
