#include "gateway/routed_requests.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "gateway/gateway_error.h"
#include "gateway/gateway_thread.h"
#include "gateway/leg_answers.h"
#include "net/http/http_exchange.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"
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

void modify(const HeaderModifier& modifier, HttpHead& head) {
  for (const std::string& name : modifier.remove) head.remove_fields(name);
  for (const HeaderModifier::Field& field : modifier.set) {
    head.remove_fields(field.name);
    head.add_field(field.name, field.value);
  }
  for (const HeaderModifier::Field& field : modifier.add) head.add_field(field.name, field.value);
}

}  // namespace

RoutedRequests::RoutedRequests(GatewayThread& thread)
    : thread_(thread),
      clients_(thread.loop(), thread.pool().resolver(),
               {kClientsMax, thread.options().route_name_lifetime, thread.options().client}),
      relays_(thread.loop(), clients_, thread.pool_thread().random(),
              {thread.options().handoff, thread.options().unread_bytes_max}) {}

PoolRelays* RoutedRequests::take(HttpExchange& exchange) {
  const HttpHead& head = exchange.head();
  const std::string_view target = head.target();
  const std::string_view path = head.path();
  const std::string_view query = target.substr(std::min(path.size() + 1, target.size()));
  const std::string host = lower_case(host_without_port(head.find("host").value_or("")));
  // Until the head changes.
  const bool tls = !thread_.options().certificate_folders.empty();
  const RouteRequest request{thread_.options().listener_port, tls, host, path, query, head};
  const RouteTable::Found found = routes_->routes.table->find(request);
  if (found.entry == nullptr) {
    refuse(exchange, kHttpNotFound, "no route is for this host, path and method");
    return nullptr;
  }
  const RouteEntry& entry = *found.entry;
  const std::shared_ptr<const RouteRule> rule = entry.rule;
  if (!rule->problem.empty()) {
    refuse(exchange, kHttpServerErrors, to_string(*rule) + ": " + rule->problem);
    return nullptr;
  }
  if (rule->filters.redirect) {
    redirect(exchange, request, entry);
    return nullptr;
  }
  const RouteBackend* backend = rule->pick(thread_.pool_thread().random().next());
  if (backend == nullptr || !backend->target) {
    refuse(exchange, kHttpServerErrors,
           to_string(*rule) + ": " +
               (backend == nullptr ? "no backend has a weight" : backend->problem));
    return nullptr;
  }
  if (rule->filters.rewrite) {
    exchange.set_target(rewritten_target(*rule->filters.rewrite, request, entry.match),
                        rule->filters.rewrite->hostname);
  }
  for (const auto* modifier : {&rule->filters.request_headers, &backend->filters.request_headers}) {
    if (*modifier) modify(**modifier, exchange.editable_head());
  }
  if (backend->target->kind == RouteTarget::Kind::kPool) {
    if (PoolRelays* const pool = thread_.relays_of(backend->target->object)) return pool;
    refuse(exchange, kHttpServiceUnavailable,
           "InferencePool " + to_string(backend->target->object) + " is not served here");
    return nullptr;
  }
  send(exchange, rule, *backend->target);
  return nullptr;
}

void RoutedRequests::refuse(HttpExchange& exchange, int status, const std::string& message) {
  const ApiError error = gateway_error(status, message);
  thread_.probe().on_not_relayed(status, message);
  exchange.respond(status, error_fields(error), error_body(error));
}

void RoutedRequests::redirect(HttpExchange& exchange, const RouteRequest& request,
                              const RouteEntry& entry) {
  const HTTPRoute::Redirect& redirect = *entry.rule->filters.redirect;
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
