#include "gateway/routed_requests.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "gateway/filtered_exchange.h"
#include "gateway/gateway_error.h"
#include "gateway/gateway_thread.h"
#include "gateway/visit.h"
#include "net/http/http_exchange.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"
#include "routes/header_changes.h"
#include "routes/hostnames.h"
#include "routes/route_actions.h"

namespace kvasir {
namespace {

constexpr std::string_view kRequestId = "x-request-id";
// By which a mirrored request can be told from others: the route that has it.
constexpr std::string_view kMirrorOf = "x-kvasir-mirror";

}  // namespace

RoutedRequests::RoutedRequests(GatewayThread& thread)
    : thread_(thread), mirrors_(thread.probe()), services_(thread) {}

void RoutedRequests::take(HttpExchange& exchange) {
  const HttpHead& head = exchange.head();
  const std::string_view target = head.target();
  const std::string_view path = head.path();
  const std::string_view query = target.substr(std::min(path.size() + 1, target.size()));
  const std::string host = lower_case(host_without_port(head.find("host").value_or("")));
  // Until the head changes.
  const bool tls = !thread_.options().certificate_folders.empty();
  const RouteRequest request{thread_.options().listener_port, tls, host, path, query, head};
  const RouteTable::Found found = routes_->routes.table->find(request);
  if (found.entry != nullptr) return take(exchange, request, *found.entry);
  refuse(thread_.with_cors(exchange), kHttpNotFound, "no route is for this host, path and method");
}

void RoutedRequests::take(HttpExchange& client, const RouteRequest& request,
                          const RouteEntry& entry) {
  const std::shared_ptr<const RouteRule> rule = entry.rule;
  if (Visit* visit = visit_of(client)) visit->set_route(to_string(rule->route));
  if (!rule->problem.empty()) {  // none of its filters counts
    return refuse(thread_.with_cors(client), kHttpServerErrors,
                  to_string(*rule) + ": " + rule->problem);
  }
  const CorsPolicy* const cors = rule->cors ? &*rule->cors : thread_.cors();
  if (cors != nullptr && is_preflight(request.head)) {
    return thread_.answer_preflight(client, *cors);
  }
  if (is_preflight(request.head) && !thread_.admits(client)) return;
  const RouteBackend* const backend = rule->pick(thread_.pool_thread().random().next());
  AnswerFilters filters{rule, backend, cors, rule->request_timeout};
  HttpExchange& exchange =
      filters.any() ? thread_.filtered().wrap(client, std::move(filters)) : client;
  if (rule->filters.redirect) {
    return redirect(exchange, *rule->filters.redirect, request, entry);
  }
  if (backend == nullptr || !backend->target) {
    return refuse(exchange, kHttpServerErrors,
                  to_string(*rule) + ": " +
                      (backend == nullptr ? "no backend has a weight" : backend->problem));
  }
  if (backend->filters.redirect) {
    return redirect(exchange, *backend->filters.redirect, request, entry);
  }
  send_on(exchange, request, entry, *backend);
}

void RoutedRequests::send_on(HttpExchange& exchange, const RouteRequest& request,
                             const RouteEntry& entry, const RouteBackend& backend) {
  const std::shared_ptr<const RouteRule> rule = entry.rule;
  const RouteTarget& target = *backend.target;
  PoolRelays* const pool = pool_of(target);
  const bool is_pool = target.kind == RouteTarget::Kind::kPool;
  if (is_pool && pool == nullptr) {
    return refuse(exchange, kHttpServiceUnavailable,
                  "InferencePool " + to_string(target.object) + " is not served here");
  }
  if (!is_pool && members_of(target).empty()) {
    return refuse(exchange, kHttpServiceUnavailable,
                  "Service " + to_string(target.object) + " has no ready endpoint");
  }
  change_request(exchange, request, entry, backend);
  if (!rule->mirrors.empty()) mirror(exchange, rule);
  if (is_pool) return thread_.schedule(exchange, *pool);
  services_.send(exchange, rule, target, members_of(target));
}

PoolRelays* RoutedRequests::pool_of(const RouteTarget& target) const {
  return target.kind == RouteTarget::Kind::kPool ? thread_.relays_of(target.object) : nullptr;
}

// `request` is not valid any more after it.
void RoutedRequests::change_request(HttpExchange& exchange, const RouteRequest& request,
                                    const RouteEntry& entry, const RouteBackend& backend) {
  const HTTPRoute::Filters& of_rule = entry.rule->filters;
  const auto& rewrite = backend.filters.rewrite ? backend.filters.rewrite : of_rule.rewrite;
  if (rewrite) {
    exchange.set_target(rewritten_target(*rewrite, request, entry.match), rewrite->hostname);
  }
  for (const auto* modifier : {&of_rule.request_headers, &backend.filters.request_headers}) {
    if (*modifier) change_head(**modifier, exchange.editable_head());
  }
}

void RoutedRequests::refuse(HttpExchange& exchange, int status, const std::string& message) {
  const ApiError error = gateway_error(status, message);
  thread_.probe().on_not_relayed(status, message);
  exchange.respond(status, error_fields(error), error_body(error));
}

void RoutedRequests::redirect(HttpExchange& exchange, const HTTPRoute::Redirect& redirect,
                              const RouteRequest& request, const RouteEntry& entry) {
  exchange.respond(redirect.status,
                   "Location: " + redirect_location(redirect, request, entry.match) + "\r\n", "");
}

void RoutedRequests::mirror(HttpExchange& exchange, const std::shared_ptr<const RouteRule>& rule) {
  Random& random = thread_.pool_thread().random();
  HttpHead head;
  std::shared_ptr<const std::string> body;
  for (size_t i = 0; i < rule->mirrors.size(); ++i) {
    const std::optional<RouteTarget>& target = rule->mirrors[i].target;
    const HTTPRoute::Mirror& share = rule->filters.mirrors[i];
    const auto denominator = static_cast<uint64_t>(share.denominator);
    const bool chosen = random.below(denominator) < static_cast<uint64_t>(share.numerator);
    if (!target || !chosen) continue;
    if (body == nullptr) {  // the first
      if (!exchange.head().find(kRequestId)) {
        exchange.editable_head().add_field(kRequestId, request_id_of(exchange.head(), random));
      }
      head = exchange.head();
      head.remove_fields(kMirrorOf);
      head.add_field(kMirrorOf, to_string(rule->route));
      body = mirrors_.copy_of(exchange.body());
    }
    send_mirror(head, body, rule, *target);
  }
}

void RoutedRequests::send_mirror(const HttpHead& head, std::shared_ptr<const std::string> body,
                                 const std::shared_ptr<const RouteRule>& rule,
                                 const RouteTarget& target) {
  const bool is_pool = target.kind == RouteTarget::Kind::kPool;
  PoolRelays* const pool = pool_of(target);
  const bool can_go = is_pool ? pool != nullptr : !members_of(target).empty();
  HttpExchange* const copy =
      can_go && body != nullptr ? mirrors_.start(head, std::move(body), rule, target) : nullptr;
  if (copy == nullptr) return thread_.probe().on_mirrored({*rule, target, 0, false});
  if (is_pool) return thread_.schedule(*copy, *pool);
  services_.send_mirror(*copy, *rule, members_of(target));
}

}  // namespace kvasir
