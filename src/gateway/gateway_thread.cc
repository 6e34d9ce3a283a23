#include "gateway/gateway_thread.h"

#include <algorithm>

#include "gateway/gateway.h"
#include "gateway/gateway_error.h"
#include "gateway/header_routes.h"
#include "gateway/routed_requests.h"
#include "gateway/tenant_gate.h"
#include "gateway/visit.h"
#include "gateway/visits.h"
#include "net/http/http_path.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"
#include "vllm/request_body.h"
#include "wire/kv_transfer/router_members.h"
#include "wire/request/gzip_reader.h"

namespace kvasir {
namespace {

// The methods that are relayed. A worker that is lenient would take "post" for POST.
bool is_relayed(std::string_view method) {
  for (const std::string_view relayed : {"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    if (method == relayed) return true;
  }
  return false;
}

// Methods by which a request can make a worker run its model.
bool can_run_model(std::string_view method) {
  return method == "POST" || method == "PUT" || method == "PATCH";
}

// Pages of the gateway, not of its workers.
bool is_own_page(std::string_view path) {
  return path == "/health" || path == "/live" || path == "/readyz" || path == "/metrics";
}

// Paths whose bodies are read as vLLM reads them; elsewhere a body may be anything.
bool is_generation(std::string_view path) {
  return path == "/v1/completions" || path == "/v1/chat/completions";
}

using Fleets = std::vector<std::shared_ptr<const Snapshot>>;

bool any_healthy(const Fleets& fleets) {
  return std::any_of(fleets.begin(), fleets.end(), [](const auto& fleet) {
    return std::any_of(fleet->endpoints.begin(), fleet->endpoints.end(),
                       [](const EndpointState& state) { return state.healthy; });
  });
}

// What /health says when no endpoint is healthy and requests are tried all the same; "" when there
// is no endpoint to try.
std::string tried_unhealthy_text(const Fleets& fleets) {
  size_t known = 0;
  size_t tried = 0;
  for (const auto& fleet : fleets) {
    for (const EndpointState& state : fleet->endpoints) {
      known += state.present;
      tried += state.rank() < EndpointState::Rank::kOut;
    }
  }
  if (tried == 0) return "";
  const std::string which =
      tried == known ? "all" : "the " + std::to_string(tried) + " that take connections";
  return "0 of " + std::to_string(known) + " endpoints healthy; trying " + which + "\n";
}

// How long a browser may keep the answer to a preflight request, when flags say who may ask: none
// asks for that more than once in the time of a conversation, and a flag is taken back by a
// restart.
constexpr int32_t kCorsMaxAgeSeconds = 600;

std::optional<CorsPolicy> cors_of(const GatewayOptions& options) {
  if (options.cors_origins.empty()) return std::nullopt;
  HTTPRoute::Cors cors;
  cors.origins = options.cors_origins;
  cors.methods = cors.headers = {"*"};
  cors.max_age_seconds = kCorsMaxAgeSeconds;
  return CorsPolicy(cors);
}

}  // namespace

GatewayThread::GatewayThread(Gateway& gateway, EventLoop& loop, Descriptor listener, uint32_t index)
    : gateway_(gateway),
      options_(gateway.options()),
      probe_(gateway.probe()),
      loop_(loop),
      cors_(cors_of(options_)),
      filtered_(loop),
      server_(loop, std::move(listener), *this, options_.server, &gateway.bodies(), gateway.tls()),
      index_(index),
      upstream_authorization_(options_.upstream_authorization),
      pool_relays_(gateway.pool(), options_, probe_, loop, index) {
  if (options_.tenants != nullptr || options_.tells_visits) {
    visits_ = std::make_unique<Visits>(loop, probe_);
  }
  if (options_.tenants != nullptr) {
    gate_ = std::make_unique<TenantGate>(options_.tenants, options_, probe_);
  }
  if (!options_.header_routes.empty()) header_routes_ = std::make_unique<HeaderRoutes>(*this);
}

GatewayThread::~GatewayThread() = default;

void GatewayThread::add_pool(const ObjectKey& name, Pool& pool, GatewayProbe& probe) {
  auto relays = std::make_unique<PoolRelays>(pool, options_, probe, loop_, index_);
  relays->set_upstream_authorization(upstream_authorization_);
  pools_.add(name, std::move(relays));
}

void GatewayThread::on_endpoint_down(const Pool& pool, EndpointId endpoint) {
  if (&pool == &this->pool()) return pool_relays_.on_endpoint_down(endpoint);
  pools_.on_endpoint_down(pool, endpoint);
}

PoolRelays* GatewayThread::relays_of(const ObjectKey& pool) {
  if (PoolRelays* const relays = pools_.find(pool)) return relays;
  const ObjectKey& own = options_.routed_pool;
  const bool is_own = options_.has_workers && (own.name.empty() || own == pool);
  return is_own ? &pool_relays_ : nullptr;
}

void GatewayThread::set_routes(std::shared_ptr<const CarriedRoutes> routes) {
  if (routed_ == nullptr) routed_ = std::make_unique<RoutedRequests>(*this);
  routed_->set_routes(std::move(routes));
}

void GatewayThread::set_tenants(std::shared_ptr<const TenantTable> tenants) {
  if (gate_ != nullptr) gate_->set_table(std::move(tenants));
}

void GatewayThread::set_upstream_authorization(std::shared_ptr<const std::string> value) {
  upstream_authorization_ = std::move(value);
  pool_relays_.set_upstream_authorization(upstream_authorization_);
  pools_.for_each(
      [this](PoolRelays& pool) { pool.set_upstream_authorization(upstream_authorization_); });
}

// The gateway's own pages are asked for all the time, and by nobody in particular.
void GatewayThread::on_request(HttpExchange& exchange) {
  if (visits_ == nullptr || is_own_page(exchange.head().path())) return take(exchange);
  take(visits_->begin(exchange));
}

void GatewayThread::take(HttpExchange& exchange) {
  if (!take_request(exchange)) return;
  const HttpHead& head = exchange.head();
  if (is_own_page(head.path())) return answer_own_page(exchange);
  // Browsers send no key with a preflight request: where nobody here answers it, it needs one.
  const bool preflight = is_preflight(head);
  if (!preflight && !admits(exchange)) return;
  if (header_routes_ != nullptr && header_routes_->take(exchange)) return;
  if (options_.listener_port != 0) {
    if (routed_ == nullptr) {
      return refuse(with_cors(exchange), gateway_error(503, "the routes are not known yet"));
    }
    return routed_->take(exchange);
  }
  if (cors_ && preflight) return answer_preflight(exchange, *cors_);
  if (preflight && !admits(exchange)) return;
  schedule(with_cors(exchange), pool_relays_);
}

bool GatewayThread::admits(HttpExchange& exchange) {
  Visit* const visit = gate_ == nullptr ? nullptr : visit_of(exchange);
  if (visit == nullptr) return true;
  const auto refused = gate_->check(
      *visit, loop_.now(), inference_api(exchange.head(), pool_relays_), pool().estimator());
  if (refused) gate_->refuse(*visit, with_cors(exchange), *refused);
  return !refused;
}

HttpExchange& GatewayThread::with_cors(HttpExchange& exchange) {
  if (!cors_) return exchange;
  return filtered_.wrap(exchange, {nullptr, nullptr, &*cors_});
}

void GatewayThread::answer_preflight(HttpExchange& exchange, const CorsPolicy& cors) {
  const HttpHead& head = exchange.head();
  if (cors.allows(head.find("Origin").value_or(""))) {
    return exchange.respond(kHttpNoContent, cors.preflight_fields(head), "");
  }
  refuse(exchange, gateway_error(kHttpForbidden, "pages of this origin may not send requests here"),
         "Vary: Origin\r\n");
}

void GatewayThread::schedule(HttpExchange& exchange, PoolRelays& pool) {
  const HttpHead& head = exchange.head();
  if (const std::optional<RequestApi> api = inference_api(head, pool)) {
    return route_inference(exchange, *api, pool);
  }
  relay_other(exchange, pool);
}

// What is for no model that we know may still be for one (/invocations).
void GatewayThread::relay_other(HttpExchange& exchange, PoolRelays& pool) {
  const bool is_read = options_.strips_handoffs && can_run_model(exchange.head().method());
  std::optional<RequestPeek> peek;
  if (is_read) peek = peek_request(exchange.body());
  if (is_read && !peek && may_hide_workers(exchange.body())) return refuse_hidden(exchange);
  pool.relay(exchange, false, peek);
}

void GatewayThread::refuse_hidden(HttpExchange& exchange) {
  refuse(exchange, gateway_error(400,
                                 "the body is no JSON in UTF-8, and may say where workers are to "
                                 "fetch KV, which clients may not"));
}

void GatewayThread::answer_own_page(HttpExchange& exchange) {
  const HttpHead& head = exchange.head();
  if (head.method() != "GET" && head.method() != "HEAD") {
    return refuse(exchange, gateway_error(405, "this page is the gateway's own: read it with GET"),
                  "Allow: GET, HEAD\r\n");
  }
  if (head.path() == "/health") return answer_health(exchange);
  if (head.path() == "/live") return exchange.respond(200, "", "");
  if (head.path() == "/readyz") return answer_readiness(exchange);
  exchange.respond(200, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
                   gateway_.metrics_page());
}

// From here on the path is what the worker reads, too: nothing is decided by a spelling that it would read otherwise.
bool GatewayThread::take_request(HttpExchange& exchange) {
  const HttpHead& head = exchange.head();
  if (head.method() == "CONNECT" || head.method() == "TRACE") {
    refuse(exchange, gateway_error(405, "CONNECT and TRACE are not relayed"),
           "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n");
    return false;
  }
  if (!is_relayed(head.method())) {
    refuse(exchange, not_http_error());
    return false;
  }
  if (is_normal_target(head.target())) return true;
  const Result<NormalTarget> normal = normal_target(head.target());
  if (!normal) {
    refuse(exchange, gateway_error(400, normal.error().message));
    return false;
  }
  if (normal->target == "*" && head.method() != "OPTIONS") {
    refuse(exchange, gateway_error(400, "the request target \"*\" is for OPTIONS"));
    return false;
  }
  if (normal->encoded_slash && can_run_model(head.method())) {
    refuse(exchange, gateway_error(400, "the path has an encoded slash, which can be read in two ways"));
    return false;
  }
  exchange.set_target(normal->target, normal->authority);
  return true;
}

void GatewayThread::refuse(HttpExchange& exchange, const ApiError& error, std::string_view more_fields) {
  probe_.on_not_relayed(error.status, error.message);
  exchange.respond(error.status, error_fields(error).append(more_fields), error_body(error));
}

// What a POST asks an engine for: what a parser claims, and all else under /v1/, where the body decides.
std::optional<RequestApi> GatewayThread::inference_api(const HttpHead& head, PoolRelays& pool) {
  if (head.method() != "POST") return std::nullopt;
  const std::optional<RequestRoute> route = pool.pool_thread().parsers()->find(head.path());
  if (route && route->api != RequestApi::kOpaque) return route->api;
  if (head.path().starts_with("/v1/")) return RequestApi::kUnknown;
  return std::nullopt;
}

void GatewayThread::route_inference(HttpExchange& exchange, RequestApi api, PoolRelays& pool) {
  // A compressed body is the worker's to open, or to refuse; it is no JSON that anybody got wrong.
  const std::string_view coding = exchange.head().find("content-encoding").value_or("");
  if (content_coding(coding) != ContentCoding::kIdentity)
    return pool.relay(exchange, true, std::nullopt);
  const Visit* visit = visit_of(exchange);
  const std::optional<RequestPeek>* known = visit == nullptr ? nullptr : visit->peek(api);
  const std::optional<RequestPeek> peek =
      known != nullptr ? *known : peek_request(exchange.body(), api);
  if (!peek && is_generation(exchange.head().path())) {
    if (const std::optional<ApiError> error = unreadable(exchange)) {
      // Its words quote the body, which no log should hold.
      probe_.on_not_relayed(error->status, "the body is not the JSON that the API asks for");
      return exchange.respond(error->status, error_fields(*error), error_body(*error));
    }
  }
  if (!peek && options_.strips_handoffs && may_hide_workers(exchange.body())) {
    return refuse_hidden(exchange);
  }
  pool.relay(exchange, true, peek);
}

// Why a body that was not understood is refused. What is not JSON to vLLM either is refused with its words, as long
// as finding them is quick; what vLLM may take all the same (UTF-16, ...) is routed without knowing the prompt.
std::optional<ApiError> GatewayThread::unreadable(const HttpExchange& exchange) const {
  const std::string_view body = exchange.body();
  if (body.size() <= options_.explained_body_bytes_max) {
    return check_request_body(exchange.head().find("content-type"), body);
  }
  if (may_hold_an_object(body)) return std::nullopt;
  return gateway_error(400, "the body cannot be read as a JSON object");
}

HttpHandler::Refusal GatewayThread::on_refused(int status, std::string_view reason) {
  probe_.on_not_relayed(status, reason);
  const ApiError error = status == 400 ? not_http_error() : gateway_error(status, reason);
  return {error_fields(error), error_body(error)};
}

void GatewayThread::answer_health(HttpExchange& exchange) {
  // Before every worker was asked once, the first requests would all go to those that answered first.
  if (all_settled()) {
    const Fleets known = fleets();
    if (any_healthy(known)) return exchange.respond(200, "", "");
    const std::string tried = tried_unhealthy_text(known);
    if (!tried.empty()) return exchange.respond(200, "Content-Type: text/plain\r\n", tried);
  }
  const ApiError error = gateway_error(503, "no worker is healthy");
  exchange.respond(503, error_fields(error), error_body(error));
}

// Whether requests are to be sent here. Unlike /health it does not ask whether a worker is healthy:
// none is there behind another gateway either, and an answer that says so is better than none.
void GatewayThread::answer_readiness(HttpExchange& exchange) {
  constexpr std::string_view kText = "Content-Type: text/plain\r\n";
  if (gateway_.draining()) return exchange.respond(503, kText, "stopping\n");
  if (options_.listener_port != 0 && routed_ == nullptr) {
    return exchange.respond(503, kText, "the routes are not known yet\n");
  }
  if (!all_settled()) return exchange.respond(503, kText, "the workers are not known yet\n");
  exchange.respond(200, kText, "ok\n");
}

bool GatewayThread::all_settled() {
  if (was_settled_) return true;
  bool settled = pool().feeds()->settled();
  pools_.for_each([&](PoolRelays& relays) { settled &= relays.pool().feeds()->settled(); });
  return was_settled_ = settled;
}

std::vector<std::shared_ptr<const Snapshot>> GatewayThread::fleets() {
  Fleets fleets = {pool().snapshot()};
  pools_.for_each([&](PoolRelays& relays) { fleets.push_back(relays.pool().snapshot()); });
  return fleets;
}

}  // namespace kvasir
