#include "gateway/header_routes.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "gateway/gateway_thread.h"
#include "gateway/leg_answers.h"
#include "gateway/visit.h"
#include "net/http/http_exchange.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

class TellRoute final : public LegsObserver {
 public:
  TellRoute(GatewayProbe& probe, const HeaderRoute& route) : probe_(probe), route_(route) {}

  void on_done(const LegsReport& report) override {
    probe_.on_header_route({route_, report});
    tell_bad_answer(probe_, report);
  }

 private:
  GatewayProbe& probe_;
  const HeaderRoute& route_;
};

}  // namespace

HeaderRoutes::HeaderRoutes(GatewayThread& thread)
    : thread_(thread),
      clients_(thread.loop(), thread.pool().resolver(),
               {thread.options().header_routes.size(), thread.options().route_name_lifetime,
                thread.options().client}),
      relays_(thread.loop(), clients_, thread.pool_thread().random(),
              {thread.options().handoff, thread.options().unread_bytes_max}) {}

const HeaderRoute* HeaderRoutes::find(const HttpHead& head) const {
  for (const HeaderRoute& route : thread_.options().header_routes) {
    const auto value = head.find(route.header);
    if (value && trimmed(*value) == route.value) return &route;
  }
  return nullptr;
}

bool HeaderRoutes::take(HttpExchange& exchange) {
  const HttpHead& head = exchange.head();
  if (head.method() != "POST") return false;
  const HeaderRoute* route = find(head);
  thread_.probe().on_routed_by_header(route);
  if (route == nullptr) return false;
  LegsRoute where;
  where.request_id = request_id_of(head, thread_.pool_thread().random());
  where.decoders.push_back({route->to});
  where.decoder_words = "the route's worker";
  where.decoder_error = {};
  where.more_fields = "x-kvasir-route: " + route->header + "=" + route->value + "\r\n";
  if (Visit* visit = visit_of(exchange)) {
    visit->set_request_id(where.request_id);
    visit->set_route(route->header + "=" + route->value);
  }
  relays_.start(thread_.with_cors(exchange), std::move(where),
                std::make_unique<TellRoute>(thread_.probe(), *route));
  return true;
}

}  // namespace kvasir
