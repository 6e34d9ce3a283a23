// What one thread of the gateway has of one pool: its connections to each endpoint, and the
// requests that it carries between them and clients. Private to gateway/.
//
// Lives on its loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/lifeline.h"
#include "gateway/gateway_options.h"
#include "gateway/probe.h"
#include "model/endpoint.h"
#include "net/http/http_client.h"
#include "serving/pool_thread.h"
#include "wire/request/request_peek.h"

namespace kvasir {

class EventLoop;
class HttpExchange;
class Relay;

class PoolRelays {
 public:
  // All must outlive it. `index`: of the thread.
  PoolRelays(Pool& pool, const GatewayOptions& options, GatewayProbe& probe, EventLoop& loop,
             uint32_t index);
  // Requests that are not over end as they are; the probe is told.
  ~PoolRelays();
  PoolRelays(const PoolRelays&) = delete;
  PoolRelays& operator=(const PoolRelays&) = delete;

  // Carries it to an endpoint of the pool, and the answer back. `inference`: it is for a model, and
  // scheduled; else it goes to the best endpoints in turn. `peek`: nullopt when its body was not
  // understood. What its headers ask for and cannot be read is refused with 400.
  void relay(HttpExchange& exchange, bool inference, const std::optional<RequestPeek>& peek);
  // It is unhealthy: requests that have nothing of its answer yet are sent elsewhere.
  void on_endpoint_down(EndpointId endpoint);

  // No more requests come. Calls `drained` in a later turn, once all that are here are over.
  void drain(std::function<void()> drained);

  // What workers get in the field Authorization; null: what clients send there.
  void set_upstream_authorization(std::shared_ptr<const std::string> value) {
    upstream_authorization_ = std::move(value);
  }

  PoolThread& pool_thread() { return pool_thread_; }
  Pool& pool() { return pool_thread_.pool(); }

  // For the relays.
  // The connections to one endpoint.
  struct Upstream {
    std::string host;  // HOST:PORT
    uint64_t joined = 0;
    std::unique_ptr<HttpClient> client;  // null until the first request goes there
  };

  const GatewayOptions& options() const { return options_; }
  GatewayProbe& probe() { return probe_; }
  EventLoop& loop() { return loop_; }
  // The slot's owner; null: its address is not known.
  Upstream* upstream(EndpointId endpoint);
  // Has a handoff fetched that nobody waits for: a decode leg of one token at that endpoint. False:
  // there are too many of those already, or its address is not known.
  bool release(EndpointId decoder, const HttpHead& request, std::string_view request_id,
               std::string body);
  // It is over, and goes.
  void remove(Relay& relay);

 private:
  class ReleaseCall;
  void on_one_over();

  const GatewayOptions& options_;
  GatewayProbe& probe_;
  EventLoop& loop_;
  PoolThread pool_thread_;
  std::shared_ptr<const std::string> upstream_authorization_;
  std::vector<Upstream> upstreams_;  // by slot
  // Of endpoints that left, while requests run there.
  std::vector<std::unique_ptr<HttpClient>> retired_;
  std::unordered_set<Relay*> relays_;
  std::unordered_map<ReleaseCall*, std::unique_ptr<ReleaseCall>> releases_;
  std::function<void()> drained_;  // empty: drain() was not called
  Lifeline lifeline_;
};

}  // namespace kvasir
