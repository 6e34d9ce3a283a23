// One thread of the gateway: its listener, its connections to every worker, and what it answers itself.
// Private to gateway/.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "gateway/gateway_options.h"
#include "gateway/probe.h"
#include "model/endpoint.h"
#include "net/http/http_client.h"
#include "net/http/http_server.h"
#include "serving/pool_thread.h"
#include "vllm/api_error.h"
#include "wire/request/request_peek.h"

namespace kvasir {

class EventLoop;
class Gateway;
class HeaderRoutes;
class Relay;
class RoutedRequests;
struct CarriedRoutes;

class GatewayThread final : public HttpHandler {
 public:
  GatewayThread(Gateway& gateway, EventLoop& loop, Descriptor listener, uint32_t index);
  ~GatewayThread() override;

  void on_request(HttpExchange& exchange) override;
  Refusal on_refused(int status, std::string_view reason) override;
  void close_after_answers() { server_.close_after_answers(); }
  void drain(std::function<void()> drained) { server_.drain(std::move(drained)); }
  // It is unhealthy: requests that have nothing of its answer yet are sent elsewhere. On this loop's thread.
  void on_endpoint_down(EndpointId endpoint);

  void set_routes(std::shared_ptr<const CarriedRoutes> routes);

  EventLoop& loop() { return loop_; }

  // For the relays.
  // The connections to one endpoint.
  struct Upstream {
    std::string host;  // HOST:PORT
    uint64_t joined = 0;
    std::unique_ptr<HttpClient> client;  // null until the first request goes there
  };

  const GatewayOptions& options() const { return options_; }
  GatewayProbe& probe() { return probe_; }
  PoolThread& pool_thread() { return pool_thread_; }
  Pool& pool() { return pool_thread_.pool(); }
  // The slot's owner; null: its address is not known.
  Upstream* upstream(EndpointId endpoint);
  // Has a handoff fetched that nobody waits for: a decode leg of one token at that endpoint. False:
  // there are too many of those already, or its address is not known.
  bool release(EndpointId decoder, const HttpHead& request, std::string_view request_id,
               std::string body);
  // It is over, and goes.
  void remove(Relay& relay);

 private:
  // Puts the target into normal form. False: the request was refused.
  bool take_request(HttpExchange& exchange);
  void refuse(HttpExchange& exchange, const ApiError& error, std::string_view more_fields = {});
  void answer_health(HttpExchange& exchange);
  void answer_readiness(HttpExchange& exchange);
  void answer_own_page(HttpExchange& exchange);
  // nullopt: it is not for an engine's model.
  std::optional<RequestApi> inference_api(const HttpHead& head);
  void route_inference(HttpExchange& exchange, RequestApi api);
  std::optional<ApiError> unreadable(const HttpExchange& exchange) const;
  void relay_other(HttpExchange& exchange);
  void refuse_hidden(HttpExchange& exchange);
  void relay(HttpExchange& exchange, bool inference, const std::optional<RequestPeek>& peek);

  Gateway& gateway_;
  const GatewayOptions& options_;
  GatewayProbe& probe_;
  EventLoop& loop_;
  PoolThread pool_thread_;
  HttpServer server_;
  std::vector<Upstream> upstreams_;                   // by slot
  std::vector<std::unique_ptr<HttpClient>>
      retired_;  // of endpoints that left, while requests run there
  std::unordered_set<Relay*> relays_;
  class ReleaseCall;
  std::unordered_map<ReleaseCall*, std::unique_ptr<ReleaseCall>> releases_;
  std::unique_ptr<HeaderRoutes> header_routes_;  // null: there are none
  std::unique_ptr<RoutedRequests> routed_;       // null: the objects of a cluster say nothing here
};

// The gateway's own errors in the shape of vLLM's.
ApiError gateway_error(int status, std::string_view message);
// The header lines of an error answer.
std::string error_fields(const ApiError& error);

}  // namespace kvasir
