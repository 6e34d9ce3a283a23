#include "gateway/routed_requests.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "gateway/filtered_exchange.h"
#include "gateway/gateway_error.h"
#include "gateway/gateway_thread.h"
#include "gateway/leg_answers.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"
#include "routes/header_changes.h"
#include "routes/hostnames.h"
#include "routes/route_actions.h"

namespace kvasir {
namespace {

constexpr size_t kClientsMax = 1024;
// A Service's members that one request may try, when connections cannot be made.
constexpr size_t kMembersTriedMax = 4;

class TellAnswer final : public LegsObserver {
 public:
  TellAnswer(GatewayProbe& probe, std::shared_ptr<const RouteRule> rule, const RouteTarget& target)
      : probe_(probe), rule_(std::move(rule)), target_(target) {}

  void on_done(const LegsReport& report) override {
    probe_.on_route_answer({*rule_, target_, report});
    tell_bad_answer(probe_, report);
  }

 private:
  GatewayProbe& probe_;
  const std::shared_ptr<const RouteRule> rule_;
  const RouteTarget target_;
};

}  // namespace

RoutedRequests::RoutedRequests(GatewayThread& thread)
    : thread_(thread),
      clients_(thread.loop(), thread.pool().resolver(),
               {kClientsMax, thread.options().route_name_lifetime, thread.options().client}),
      relays_(thread.loop(), clients_, thread.pool_thread().random(),
              {thread.options().handoff, thread.options().unread_bytes_max}) {}

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
  if (!rule->problem.empty()) {  // none of its filters counts
    return refuse(thread_.with_cors(client), kHttpServerErrors,
                  to_string(*rule) + ": " + rule->problem);
  }
  const CorsPolicy* const cors = rule->cors ? &*rule->cors : thread_.cors();
  if (cors != nullptr && is_preflight(request.head)) {
    return thread_.answer_preflight(client, *cors);
  }
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
  change_request(exchange, request, entry, *backend);
  if (backend->target->kind == RouteTarget::Kind::kPool) {
    PoolRelays* const pool = thread_.relays_of(backend->target->object);
    if (pool != nullptr) return thread_.schedule(exchange, *pool);
    return refuse(exchange, kHttpServiceUnavailable,
                  "InferencePool " + to_string(backend->target->object) + " is not served here");
  }
  send(exchange, rule, *backend->target);
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

void RoutedRequests::send(HttpExchange& exchange, std::shared_ptr<const RouteRule> rule,
                          const RouteTarget& target) {
  const std::vector<HostPort>& members = routes_->services.at(target);
  if (members.empty()) {
    return refuse(exchange, kHttpServiceUnavailable,
                  "Service " + to_string(target.object) + " has no ready endpoint");
  }
  LegsRoute where;
  where.request_id = request_id_of(exchange.head(), thread_.pool_thread().random());
  const size_t first = static_cast<size_t>(turns_++ % members.size());
  for (size_t i = 0; i < std::min(members.size(), kMembersTriedMax); ++i) {
    where.decoders.push_back({members[(first + i) % members.size()]});
  }
  where.decoder_words = "the route's backend";
  where.decoder_error = {};
  where.more_fields = "x-kvasir-route: " + to_string(rule->route) + "\r\n";
  GatewayProbe& probe = thread_.probe();
  auto observer = std::make_unique<TellAnswer>(probe, std::move(rule), target);
  relays_.start(exchange, std::move(where), std::move(observer));
}

}  // namespace kvasir
