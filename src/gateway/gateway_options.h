// What `kvasir gateway` can be told. Every limit has its name and its default here.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "handoff/handoff_options.h"
#include "net/http/http_client.h"
#include "net/http/http_server.h"
#include "net/io/socket.h"
#include "net/io/tls_context.h"
#include "serving/pool_options.h"
#include "tenants/tenant_table.h"
#include "wire/kube/kube_object.h"

namespace kvasir {

// Where a POST goes whose header has that value, instead of to a worker of the pool.
struct HeaderRoute {
  std::string header;
  std::string value;
  HostPort to;
};

struct GatewayOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8000;  // 0: a free one
  PoolOptions pool;
  uint32_t threads = 1;
  HttpServerLimits server;
  // Clients speak TLS: folders of tls.crt and tls.key, read again when they change. A client gets
  // the certificate of the host that it asks for, else the first. Empty: plain.
  std::vector<std::string> certificate_folders;
  TlsOptions tls;
  // Held of the bodies of all requests, until they are sent on; beyond: 503. Large ones get three quarters of it.
  size_t bodies_bytes_max = 192 * 1024 * 1024;
  HttpClientLimits client;
  // Of requests whose prompt another endpoint prefills; the connections of those are the gateway's.
  HandoffOptions handoff;
  // Workers that decode have sidecars, which have prompts prefilled where x-prefiller-host-port
  // says; the gateway sends one leg.
  bool sidecars_prefill = false;
  // What clients say about where KV is to be fetched does not reach workers.
  bool strips_handoffs = true;
  // Decode legs under way that only fetch what a client that left will not; further handoffs end
  // with the prefiller's lease.
  size_t releases_max = 1024;
  // The first that fits decides; each header and value once.
  std::vector<HeaderRoute> header_routes;
  // Whose pages may read answers (is_cors_origin() of each), but for those of a rule that has a
  // CORS filter. Empty: nobody is told anything.
  std::vector<std::string> cors_origins;
  // The port that listeners of Gateways have whose routes are served here; 0: requests are not
  // routed by objects (Gateway::set_routes()).
  uint16_t listener_port = 0;
  // False: `pool` has no endpoints, and routes lead to pools that are added alone
  // (Gateway::add_pool()).
  bool has_workers = true;
  // The InferencePool that `pool` is, by the routes' references; without a name: any.
  ObjectKey routed_pool = {};
  // A name among the routes' addresses is looked up again after so long.
  Duration route_name_lifetime = std::chrono::seconds(30);
  // Attempts for one request, the first included; each on another endpoint.
  uint32_t attempts_max = 4;
  // Of these, after a worker closed the connection without an answer: the request may be what it died of.
  uint32_t closed_retries_max = 1;
  // Of these, after a worker answered 429, 500, 502, 503 or 504, or 200 with an error or nothing.
  uint32_t error_retries_max = 1;
  // Such an answer is kept, and sent when nobody else has one. A longer one, or one that takes longer, is given up.
  size_t error_answer_bytes_max = 64 * 1024;
  Duration error_answer_timeout = std::chrono::milliseconds(100);
  // What is left for connections of all further attempts once one was neither taken nor refused
  // within client.connect_timeout, or until its endpoint was unhealthy: its client has waited, and
  // where one worker is out of reach all may be.
  Duration late_connect_timeout = std::chrono::milliseconds(500);
  // The whole time of a request, from its last byte to the answer's, waiting for its turn included;
  // zero: no limit. Clients may ask for another one by x-request-timeout, and get
  // `request_timeout_max` at most; zero: `request_timeout`, and without that what they ask for.
  Duration request_timeout = Duration::zero();
  Duration request_timeout_max = Duration::zero();
  // Answer bytes a slow client may leave unread here before the worker's connection is paused.
  size_t unread_bytes_max = 1024 * 1024;
  // A body that cannot be read is read again to refuse it in vLLM's words; a longer one is refused without them.
  size_t explained_body_bytes_max = 1024 * 1024;
  Duration drain_timeout = std::chrono::seconds(30);
  // From when /readyz says 503 until no more connections are taken: what whoever sends requests
  // here needs to see it.
  Duration drain_delay = Duration::zero();
  // Who may come in, at the start (Gateway::set_tenants()); null: whoever comes.
  std::shared_ptr<const TenantTable> tenants = {};
  // The probe is told of each request that is over, without tenants too.
  bool tells_visits = false;
  // What workers get in the field Authorization; null: what clients send there, unless it is a key.
  std::shared_ptr<const std::string> upstream_authorization = {};
  // By which keys expire.
  std::function<WallSeconds()> wall_clock = [] {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  };
};

}  // namespace kvasir
