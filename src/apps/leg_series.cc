#include "apps/leg_series.h"

#include <string>
#include <vector>

#include "gateway/gateway_options.h"
#include "routes/route_rule.h"

namespace kvasir {
namespace {

const std::vector<double> kLegSeconds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                         0.5,   1,      2.5,   5,    10,    20,   40,  80};
// By HandoffReport::Path.
constexpr const char* kPathNames[] = {"undecided", "two-legs", "no-handoff", "local-decode",
                                      "refused"};

// By RouteRetryReason.
constexpr const char* kRouteRetryNames[kRouteRetryReasons] = {"status", "connection", "timeout",
                                                              "refused"};

std::string label_of(const HeaderRoute& route) {
  return route.header + "=" + route.value;
}

}  // namespace

LegSeries::LegSeries(MetricRegistry& registry)
    : registry_(registry),
      hedged_(registry.counter("kvasir_gateway_prefills_hedged_total",
                               "Requests that a second prefill worker was asked for.")),
      released_(registry.counter("kvasir_gateway_handoffs_released_total",
                                 "Handoffs that were fetched for a client that had left.")),
      prefill_(registry.histogram("kvasir_gateway_prefill_seconds",
                                  "From a request's first prefill leg to the answer of one.",
                                  kLegSeconds)) {
  for (size_t i = 0; i < kPaths; ++i) {
    requests_[i] = &registry.counter(
        "kvasir_gateway_two_leg_requests_total",
        "Requests whose prompt was to be prefilled elsewhere, by what came of it.",
        {{"path", kPathNames[i]}});
  }
}

void LegSeries::ended(const TwoLegsReport& report) {
  requests_[static_cast<size_t>(report.handoff.path)]->add();
  if (report.handoff.hedged) hedged_.add();
  if (report.released) released_.add();
  if (report.handoff.prefill_time) prefill_.observe(to_seconds(*report.handoff.prefill_time));
  if (report.refused.empty()) return;
  registry_
      .counter("kvasir_gateway_handoffs_refused_total",
               "Requests that ended with an error of their prefill leg.",
               {{"code", std::string(report.refused)}})
      .add();
}

void LegSeries::routed(const HeaderRoute* route) {
  registry_
      .counter("kvasir_gateway_header_routed_total",
               "Requests that could go by header, by where they went.",
               {{"route", route == nullptr ? "default" : label_of(*route)}})
      .add();
}

void LegSeries::ended(const HeaderRouteReport& report) {
  const std::string route = label_of(report.route);
  registry_
      .counter("kvasir_gateway_header_route_answers_total",
               "Requests that a header sent past the pool, by the status of their answer.",
               {{"code", std::to_string(report.answer.status)}, {"route", route}})
      .add();
  if (!report.answer.first_byte_time) return;
  registry_
      .histogram("kvasir_gateway_header_route_first_byte_seconds",
                 "From the whole request read to the first body byte of its answer.", kLegSeconds,
                 {{"route", route}})
      .observe(to_seconds(*report.answer.first_byte_time));
}

void LegSeries::ended(const RouteAnswerReport& report) {
  registry_
      .counter("kvasir_gateway_route_answers_total",
               "Requests that a HTTPRoute sent to a Service, by the status of their answer.",
               {{"code", std::to_string(report.answer.status)},
                {"route", to_string(report.rule.route)},
                {"service", to_string(report.target.object)}})
      .add();
}

void LegSeries::retried(const RouteRule& rule, const RouteTarget& target, RouteRetryReason reason) {
  registry_
      .counter("kvasir_gateway_route_retries_total",
               "Requests that a HTTPRoute has sent to a Service once more, by why (refused: too "
               "many are already).",
               {{"reason", kRouteRetryNames[static_cast<size_t>(reason)]},
                {"route", to_string(rule.route)},
                {"service", to_string(target.object)}})
      .add();
}

void LegSeries::ended(const MirrorReport& report) {
  const std::string status = report.status == 0 ? "none"
                             : report.is_cut    ? "cut"
                                                : std::to_string(report.status);
  registry_
      .counter("kvasir_gateway_mirrored_requests_total",
               "Copies of requests that a HTTPRoute mirrors, by the status of their answer (none: "
               "not sent).",
               {{"backend", to_string(report.target.object)},
                {"code", status},
                {"route", to_string(report.rule.route)}})
      .add();
}

}  // namespace kvasir
