#include "gateway/service_requests.h"

#include <algorithm>
#include <utility>

#include "gateway/gateway_thread.h"
#include "gateway/leg_answers.h"
#include "gateway/visit.h"
#include "net/http/http_exchange.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

constexpr size_t kClientsMax = 1024;
// A Service's members that one request may try, when connections cannot be made.
constexpr size_t kMembersTriedMax = 4;

// Of a request that is sent once, and of each attempt of one that is sent again.
class TellAnswer final : public LegsObserver {
 public:
  TellAnswer(GatewayProbe& probe, std::shared_ptr<const RouteRule> rule, const RouteTarget& target,
             std::shared_ptr<AttemptOutcome> attempt = nullptr)
      : probe_(probe), rule_(std::move(rule)), target_(target), attempt_(std::move(attempt)) {}

  void on_connection_failed(LegStage, std::string_view why) override {
    if (attempt_ != nullptr) attempt_->connection_failure = why;
  }
  void on_done(const LegsReport& report) override {
    if (attempt_ != nullptr && attempt_->is_passed_over) return;
    probe_.on_route_answer({*rule_, target_, report});
    tell_bad_answer(probe_, report);
  }

 private:
  GatewayProbe& probe_;
  const std::shared_ptr<const RouteRule> rule_;
  const RouteTarget target_;
  const std::shared_ptr<AttemptOutcome> attempt_;  // null: there is only one
};

// The exchange of a mirrored request tells of its end.
class TellNobody final : public LegsObserver {
 public:
  void on_done(const LegsReport&) override {}
};

}  // namespace

ServiceRequests::ServiceRequests(GatewayThread& thread)
    : thread_(thread),
      clients_(thread.loop(), thread.pool().resolver(),
               {kClientsMax, thread.options().route_name_lifetime, thread.options().client}),
      relays_(thread.loop(), clients_, thread.pool_thread().random(),
              {thread.options().handoff, thread.options().unread_bytes_max}),
      host_{thread.loop(),
            thread.pool_thread().random(),
            thread.probe(),
            budget_,
            [this](ServiceAttempts& attempts, const HostPort& member,
                   std::shared_ptr<AttemptOutcome> outcome) {
              send_attempt(attempts, member, std::move(outcome));
            },
            [this](ServiceAttempts& attempts) { attempts_.erase(&attempts); }} {}

ServiceRequests::~ServiceRequests() = default;

std::vector<HostPort> ServiceRequests::in_turn(const std::vector<HostPort>& members, size_t most) {
  std::vector<HostPort> ordered;
  const size_t first = static_cast<size_t>(turns_++ % members.size());
  for (size_t i = 0; i < std::min(members.size(), most); ++i) {
    ordered.push_back(members[(first + i) % members.size()]);
  }
  return ordered;
}

LegsRoute ServiceRequests::route_of(const RouteRule& rule, std::string request_id) const {
  LegsRoute route;
  route.request_id = std::move(request_id);
  route.decoder_words = "the route's backend";
  route.decoder_error = {};
  route.more_fields = "x-kvasir-route: " + to_string(rule.route) + "\r\n";
  return route;
}

void ServiceRequests::send(HttpExchange& exchange, std::shared_ptr<const RouteRule> rule,
                           const RouteTarget& target, const std::vector<HostPort>& members) {
  std::string id = request_id_of(exchange.head(), thread_.pool_thread().random());
  if (Visit* const visit = visit_of(exchange)) visit->set_request_id(id);
  if (ServiceAttempts::are_for(*rule)) {
    auto attempts = std::make_unique<ServiceAttempts>(
        host_, exchange, std::move(rule), target,
        in_turn(members, ServiceAttempts::kRetriesMost + 1), std::move(id));
    ServiceAttempts& begun = *attempts;
    attempts_.emplace(&begun, std::move(attempts));
    return begun.begin();
  }
  LegsRoute where = route_of(*rule, std::move(id));
  for (HostPort& member : in_turn(members, kMembersTriedMax)) {
    where.decoders.push_back({std::move(member)});
  }
  relays_.start(exchange, std::move(where),
                std::make_unique<TellAnswer>(thread_.probe(), std::move(rule), target));
}

void ServiceRequests::send_attempt(ServiceAttempts& attempts, const HostPort& member,
                                   std::shared_ptr<AttemptOutcome> outcome) {
  LegsRoute where = route_of(*attempts.rule(), attempts.request_id());
  where.decoders.push_back({member});
  // That nobody answered is one thing to who asked: the API's own tests know 500 and 503 for it.
  if (attempts.rule()->retry) where.broken_status = kHttpServiceUnavailable;
  relays_.start(attempts, std::move(where),
                std::make_unique<TellAnswer>(thread_.probe(), attempts.rule(), attempts.target(),
                                             std::move(outcome)));
}

void ServiceRequests::send_mirror(HttpExchange& exchange, const RouteRule& rule,
                                  const std::vector<HostPort>& members) {
  LegsRoute where = route_of(rule, request_id_of(exchange.head(), thread_.pool_thread().random()));
  // To one of them, and to no other (the API's word).
  where.decoders.push_back({in_turn(members, 1).front()});
  relays_.start(exchange, std::move(where), std::make_unique<TellNobody>());
}

}  // namespace kvasir
