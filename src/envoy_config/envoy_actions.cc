#include "envoy_config/envoy_actions.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "envoy_config/envoy_filters.h"
#include "envoy_config/envoy_matches.h"
#include "envoy_config/envoy_names.h"
#include "envoy_config/envoy_targets.h"
#include "vllm/api_error.h"

namespace kvasir {
namespace {

constexpr int kNotFound = 404;
constexpr int kMisdirected = 421;
constexpr int kRouteFails = 500;

// Envoy refuses longer bodies than 4 KiB of what it answers itself.
constexpr size_t kMessageBytesMost = 1'000;
// Of a Service's other members, while no connection can be made.
constexpr int kMembersTriedMore = 3;
constexpr int kHostSelections = 5;
// As the gateway's, docs/ROUTES.md.
constexpr int32_t kAttemptsByDefault = 1;
constexpr int32_t kAttemptsMost = 16;
constexpr uint64_t kMillion = 1'000'000;

EnvoyJson added_field(const char* name, const std::string& value) {
  return {{"header", {{"key", name}, {"value", plain_format(value)}}},
          {"append_action", "OVERWRITE_IF_EXISTS_OR_ADD"}};
}

std::string_view error_type_of(int status) {
  if (status == kNotFound) return kNotFoundType;
  return status == kMisdirected ? kBadRequestType : kInternalErrorType;
}

void refuse(int status, const std::string& message, EnvoyJson& route) {
  ApiError error;
  error.status = status;
  error.type = error_type_of(status);
  error.message = message.substr(0, kMessageBytesMost);
  route["response_headers_to_add"].push_back(
      added_field("content-type", std::string(error_content_type(error))));
  route["direct_response"] = {{"status", status}, {"body", {{"inline_string", error_body(error)}}}};
}

// `tries`: whether there may be several of one request.
void set_timeouts(const RouteRule& rule, bool tries, EnvoyJson& action) {
  const Duration none = Duration::zero();
  Duration whole = rule.request_timeout.value_or(none);
  const Duration each = tries ? rule.backend_timeout.value_or(none) : none;
  if (each > none && !rule.retry && (whole == none || each < whole)) whole = each;
  action["timeout"] = duration_text(whole);  // zero: none
}

EnvoyJson retry_policy(const RouteRule& rule) {
  EnvoyJson policy;
  if (!rule.retry) {
    policy = {{"retry_on", "connect-failure"}, {"num_retries", kMembersTriedMore}};
  } else {
    const HTTPRoute::Retry& retry = *rule.retry;
    std::string causes = "connect-failure,refused-stream,reset";
    if (!retry.codes.empty()) causes += ",retriable-status-codes";
    policy = {
        {"retry_on", causes},
        {"num_retries", std::min(retry.attempts.value_or(kAttemptsByDefault), kAttemptsMost)}};
    if (!retry.codes.empty()) policy["retriable_status_codes"] = retry.codes;
    if (retry.backoff && *retry.backoff > Duration::zero()) {
      policy["retry_back_off"] = {{"base_interval", duration_text(*retry.backoff)}};
    }
    if (rule.backend_timeout && *rule.backend_timeout > Duration::zero()) {
      policy["per_try_timeout"] = duration_text(*rule.backend_timeout);
    }
  }
  EnvoyJson others = {{"name", "envoy.retry_host_predicates.previous_hosts"}};
  others["typed_config"] =
      typed("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate");
  policy["retry_host_predicate"] = EnvoyJson::array({std::move(others)});
  policy["host_selection_retry_max_attempts"] = kHostSelections;
  return policy;
}

void add_mirrors(const RouteRule& rule, EnvoyJson& action) {
  for (size_t i = 0; i < rule.mirrors.size() && i < rule.filters.mirrors.size(); ++i) {
    const std::optional<RouteTarget>& target = rule.mirrors[i].target;
    // A pool's picker is asked for requests, not for their copies.
    if (!target || target->kind == RouteTarget::Kind::kPool) continue;
    const HTTPRoute::Mirror& mirror = rule.filters.mirrors[i];
    const uint64_t share = static_cast<uint64_t>(std::max(mirror.numerator, 0)) * kMillion /
                           static_cast<uint64_t>(std::max(mirror.denominator, 1));
    EnvoyJson fraction = {{"numerator", std::min(share, kMillion)}, {"denominator", "MILLION"}};
    action["request_mirror_policies"].push_back(
        {{"cluster", cluster_name(*target)},
         {"runtime_fraction", {{"default_value", std::move(fraction)}}},
         {"disable_shadow_host_suffix_append", true}});
  }
}

// Of one backend: its own filters, and who picks.
EnvoyJson backend_settings(const RouteBackend& backend, const ObjectStore& store) {
  EnvoyJson settings = filter_settings(backend.filters);
  if (!backend.target || backend.target->kind != RouteTarget::Kind::kPool) return settings;
  const ObjectKey& key = backend.target->object;
  const auto pool = store.get<InferencePool>(key.name_space, key.name);
  if (pool != nullptr && pool->picker) ask_picker(*pool, settings);
  return settings;
}

using Backends = std::vector<const RouteBackend*>;

void set_backends(const Backends& backends, const ObjectStore& store, EnvoyJson& route) {
  EnvoyJson shares = EnvoyJson::array();
  for (const RouteBackend* backend : backends) {
    EnvoyJson share = {{"name", backend->target ? cluster_name(*backend->target) : kNoBackend},
                       {"weight", backend->weight}};
    EnvoyJson settings = backend_settings(*backend, store);
    if (!settings.empty()) share["typed_per_filter_config"] = std::move(settings);
    shares.push_back(std::move(share));
  }
  EnvoyJson& action = route["route"];
  if (shares.size() == 1 && !shares[0].contains("typed_per_filter_config")) {
    action["cluster"] = shares[0]["name"];
  } else {
    action["weighted_clusters"]["clusters"] = std::move(shares);
  }
  action["cluster_not_found_response_code"] = "INTERNAL_SERVER_ERROR";
}

// What a backend says of origins itself: two answers to one question are none.
void drop_cors_fields(EnvoyJson& route) {
  for (const char* what : {"allow-origin", "allow-credentials", "allow-methods", "allow-headers",
                           "expose-headers", "max-age"}) {
    route["response_headers_to_remove"].push_back(std::string("access-control-") + what);
  }
}

bool is_service(const RouteBackend* backend) {
  return backend->target && backend->target->kind == RouteTarget::Kind::kService;
}

void send(const RouteEntry& entry, const Backends& backends,
          const std::optional<HTTPRoute::Rewrite>& rewrite, const ObjectStore& store,
          EnvoyJson& route) {
  const RouteRule& rule = *entry.rule;
  route["response_headers_to_add"].push_back(added_field("x-kvasir-route", to_string(rule.route)));
  if (rule.filters.cors) drop_cors_fields(route);
  set_backends(backends, store, route);
  EnvoyJson& action = route["route"];
  if (rewrite) {
    if (!rewrite->hostname.empty()) action["host_rewrite_literal"] = rewrite->hostname;
    if (rewrite->path) modify_path(*rewrite->path, entry.match, nullptr, action);
  }
  // A pool's picker has named one endpoint: there is no other to try.
  const bool tries = std::any_of(backends.begin(), backends.end(), is_service);
  set_timeouts(rule, tries, action);
  if (tries) action["retry_policy"] = retry_policy(rule);
  add_mirrors(rule, action);
}

Backends backends_with_weight(const RouteRule& rule) {
  Backends backends;
  for (const RouteBackend& backend : rule.backends) {
    if (backend.weight > 0) backends.push_back(&backend);
  }
  return backends;
}

bool has_own_target(const RouteBackend* backend) {
  return backend->filters.redirect || backend->filters.rewrite;
}

// One route for each backend, since only a route can redirect or rewrite. Envoy draws one number
// for all of them: a route gets what the ones in front of it did not take.
std::vector<EnvoyJson> routes_of_each(const RouteEntry& entry, const VirtualHost& host,
                                      const Backends& backends, const ObjectStore& store,
                                      const EnvoyJson& route) {
  const RouteRule& rule = *entry.rule;
  std::vector<EnvoyJson> routes;
  uint64_t weights = 0;
  for (const RouteBackend* backend : backends) {
    EnvoyJson own = route;
    weights += backend->weight;
    if (weights < rule.weights) {
      own["match"]["runtime_fraction"] = {
          {"default_value",
           {{"numerator", weights * kMillion / rule.weights}, {"denominator", "MILLION"}}}};
    }
    const HTTPRoute::Filters& filters = backend->filters;
    if (filters.redirect) {
      auto redirects = redirecting_routes(*filters.redirect, entry.match, host, own);
      std::move(redirects.begin(), redirects.end(), std::back_inserter(routes));
      continue;
    }
    if (backend->target) {
      send(entry, {backend}, filters.rewrite ? filters.rewrite : rule.filters.rewrite, store, own);
    } else {
      refuse(kRouteFails, to_string(rule) + ": " + backend->problem, own);
    }
    routes.push_back(std::move(own));
  }
  return routes;
}

}  // namespace

std::vector<EnvoyJson> envoy_routes(const RouteEntry& entry, const VirtualHost& host,
                                    const ObjectStore& store) {
  const RouteRule& rule = *entry.rule;
  EnvoyJson route = {{"name", to_string(rule)}, {"match", route_match(entry.match)}};
  if (!rule.problem.empty()) {
    refuse(kRouteFails, to_string(rule) + ": " + rule.problem, route);
    return {std::move(route)};
  }
  EnvoyJson settings = filter_settings(rule.filters);
  if (!settings.empty()) route["typed_per_filter_config"] = std::move(settings);
  if (rule.filters.redirect) {
    return redirecting_routes(*rule.filters.redirect, entry.match, host, route);
  }
  const Backends backends = backends_with_weight(rule);
  if (std::any_of(backends.begin(), backends.end(), has_own_target)) {
    return routes_of_each(entry, host, backends, store, route);
  }
  const auto has_target = [](const RouteBackend* backend) { return backend->target.has_value(); };
  if (std::any_of(backends.begin(), backends.end(), has_target)) {
    send(entry, backends, rule.filters.rewrite, store, route);
  } else {
    const std::string why =
        backends.empty() ? "no backend has a weight" : backends.front()->problem;
    refuse(kRouteFails, to_string(rule) + ": " + why, route);
  }
  return {std::move(route)};
}

EnvoyJson refuse_all(int status, const std::string& message) {
  EnvoyJson route = {{"match", {{"prefix", "/"}}}};
  refuse(status, message, route);
  return route;
}

}  // namespace kvasir
