// One thread of the gateway: its listener, what it answers itself, and who takes each other
// request. Private to gateway/.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gateway/filtered_exchange.h"
#include "gateway/gateway_options.h"
#include "gateway/pool_relays.h"
#include "gateway/probe.h"
#include "gateway/relayed_pools.h"
#include "model/endpoint.h"
#include "net/http/http_server.h"
#include "vllm/api_error.h"
#include "wire/request/request_peek.h"

namespace kvasir {

class EventLoop;
class Gateway;
class HeaderRoutes;
class RoutedRequests;
class TenantGate;
class Visits;
struct CarriedRoutes;

class GatewayThread final : public HttpHandler {
 public:
  GatewayThread(Gateway& gateway, EventLoop& loop, Descriptor listener, uint32_t index);
  ~GatewayThread() override;

  void on_request(HttpExchange& exchange) override;
  Refusal on_refused(int status, std::string_view reason) override;
  void close_after_answers() { server_.close_after_answers(); }
  void drain(std::function<void()> drained) { server_.drain(std::move(drained)); }
  // It is unhealthy: requests that have nothing of its answer yet are sent elsewhere.
  void on_endpoint_down(const Pool& pool, EndpointId endpoint);

  // Another pool for the requests that routes send there, which `probe` hears of. Both must outlive
  // it, until remove_pool() calls back.
  void add_pool(const ObjectKey& name, Pool& pool, GatewayProbe& probe);
  // See RelayedPools.
  void remove_pool(const ObjectKey& name, std::function<void()> gone) {
    pools_.remove(name, std::move(gone));
  }
  // Null: requests for it are not served here.
  PoolRelays* relays_of(const ObjectKey& pool);

  void set_routes(std::shared_ptr<const CarriedRoutes> routes);
  // With options().tenants.
  void set_tenants(std::shared_ptr<const TenantTable> tenants);
  void set_upstream_authorization(std::shared_ptr<const std::string> value);

  EventLoop& loop() { return loop_; }

  const GatewayOptions& options() const { return options_; }
  GatewayProbe& probe() { return probe_; }
  // Of the gateway's own pool.
  PoolThread& pool_thread() { return pool_relays_.pool_thread(); }
  Pool& pool() { return pool_relays_.pool(); }
  FilteredExchanges& filtered() { return filtered_; }
  // Of the flags; null: they say nothing.
  const CorsPolicy* cors() const { return cors_ ? &*cors_ : nullptr; }
  // Whether whoever sent it may come in; false: it is answered. True without tenants.
  bool admits(HttpExchange& exchange);
  // An exchange that has its answer read by pages of other origins, if flags say so.
  HttpExchange& with_cors(HttpExchange& exchange);
  void answer_preflight(HttpExchange& exchange, const CorsPolicy& cors);
  // To a worker of that pool.
  void schedule(HttpExchange& exchange, PoolRelays& pool);

 private:
  void take(HttpExchange& exchange);
  // Puts the target into normal form. False: the request was refused.
  bool take_request(HttpExchange& exchange);
  void refuse(HttpExchange& exchange, const ApiError& error, std::string_view more_fields = {});
  void answer_health(HttpExchange& exchange);
  void answer_readiness(HttpExchange& exchange);
  void answer_own_page(HttpExchange& exchange);
  // nullopt: it is not for an engine's model.
  std::optional<RequestApi> inference_api(const HttpHead& head, PoolRelays& pool);
  void route_inference(HttpExchange& exchange, RequestApi api, PoolRelays& pool);
  std::optional<ApiError> unreadable(const HttpExchange& exchange) const;
  bool all_settled();
  std::vector<std::shared_ptr<const Snapshot>> fleets();
  void relay_other(HttpExchange& exchange, PoolRelays& pool);
  void refuse_hidden(HttpExchange& exchange);

  Gateway& gateway_;
  const GatewayOptions& options_;
  GatewayProbe& probe_;
  EventLoop& loop_;
  const std::optional<CorsPolicy> cors_;
  FilteredExchanges filtered_;
  HttpServer server_;
  const uint32_t index_;
  std::shared_ptr<const std::string> upstream_authorization_;
  std::unique_ptr<Visits> visits_;    // null: nobody is told of them
  std::unique_ptr<TenantGate> gate_;  // null: whoever comes may come in
  PoolRelays pool_relays_;
  RelayedPools pools_;        // the others
  bool was_settled_ = false;  // all pools were: one that comes later keeps nobody waiting
  std::unique_ptr<HeaderRoutes> header_routes_;  // null: there are none
  std::unique_ptr<RoutedRequests> routed_;       // null: the objects of a cluster say nothing here
};

}  // namespace kvasir
