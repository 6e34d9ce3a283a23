#include "routes/resolved_rules.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "net/http/hop_fields.h"
#include "net/http/http_head.h"
#include "routes/listener_checks.h"
#include "routes/route_table.h"
#include "wire/kube/kube_types.h"

namespace kvasir {
namespace {

constexpr std::string_view kH2c = "kubernetes.io/h2c";
constexpr const char* kProtocols[] = {"", "http", "kubernetes.io/h2c", "kubernetes.io/ws"};

bool is_service(const ObjectRef& ref) {
  return ref.group.empty() && ref.kind == "Service";
}

bool is_pool(const ObjectRef& ref) {
  return ref.kind == "InferencePool" &&
         find_kube_type(KubeKind::kInferencePool, ref.group) != nullptr;
}

// What refers, and the store that says whether it may and what is there.
class References {
 public:
  References(const ObjectStore& store, const HTTPRoute& route) : store_(store), route_(route) {}

  RouteBackend backend(const HTTPRoute::BackendRef& ref) {
    RouteBackend backend;
    ObjectRef to = ref.to;
    if (to.name_space.empty()) to.name_space = route_.meta.name_space;
    const ObjectKey key{to.name_space, to.name};
    const std::string name = to.kind + " " + to_string(key);
    Unresolved problem;
    if (!is_service(to) && !is_pool(to)) {
      problem = {"InvalidKind", "a backend is a Service or an InferencePool, not " + to.kind +
                                    (to.group.empty() ? "" : " of group " + to.group)};
    } else if (!may_refer(to)) {
      problem = {"RefNotPermitted", "no ReferenceGrant in namespace " + to.name_space +
                                        " lets HTTPRoutes of namespace " + route_.meta.name_space +
                                        " use " + name};
    } else if (is_pool(to)) {
      backend.target = pool(key, problem);
    } else {
      backend.target = service(key, ref.port.value_or(0), problem);
    }
    backend.problem = problem.message;
    note(std::move(problem));
    return backend;
  }

  // Of the rule since the last call.
  Unresolved take() { return std::exchange(first_, {}); }

 private:
  bool may_refer(const ObjectRef& to) const {
    return to.name_space == route_.meta.name_space ||
           is_granted(store_, {std::string(kGatewayGroup), "HTTPRoute", route_.meta.name_space},
                      to);
  }

  std::optional<RouteTarget> pool(const ObjectKey& key, Unresolved& problem) const {
    const auto pool = store_.get<InferencePool>(key.name_space, key.name);
    if (pool == nullptr) {
      problem = {"BackendNotFound", "there is no InferencePool " + to_string(key)};
      return std::nullopt;
    }
    return RouteTarget{RouteTarget::Kind::kPool, key, 0, pool->app_protocol == kH2c};
  }

  std::optional<RouteTarget> service(const ObjectKey& key, uint16_t port,
                                     Unresolved& problem) const {
    const auto service = store_.get<Service>(key.name_space, key.name);
    if (service == nullptr) {
      problem = {"BackendNotFound", "there is no Service " + to_string(key)};
      return std::nullopt;
    }
    const auto found = std::find_if(service->ports.begin(), service->ports.end(),
                                    [&](const ServicePort& one) { return one.port == port; });
    if (found == service->ports.end()) {
      problem = {"BackendNotFound",
                 "Service " + to_string(key) + " has no port " + std::to_string(port)};
      return std::nullopt;
    }
    const std::string& protocol = found->app_protocol;
    if (std::find(std::begin(kProtocols), std::end(kProtocols), protocol) == std::end(kProtocols)) {
      problem = {"UnsupportedProtocol", "Service " + to_string(key) + " has appProtocol " +
                                            protocol + ", which HTTPRoutes do not speak"};
      return std::nullopt;
    }
    return RouteTarget{RouteTarget::Kind::kService, key, port, protocol == kH2c};
  }

  void note(Unresolved problem) {
    if (first_.reason.empty()) first_ = std::move(problem);
  }

  const ObjectStore& store_;
  const HTTPRoute& route_;
  Unresolved first_;
};

// The first field that a filter may not touch, since whoever relays writes it; empty: there is none.
std::string own_field(const HeaderModifier& modifier) {
  const HopFields hop{HttpHead{}};
  const auto is_own = [&](std::string_view name) {
    return hop.hold(name) || reads_as(name, "Host");
  };
  for (const HeaderModifier::Field& field : modifier.set) {
    if (is_own(field.name)) return field.name;
  }
  for (const HeaderModifier::Field& field : modifier.add) {
    if (is_own(field.name)) return field.name;
  }
  for (const std::string& name : modifier.remove) {
    if (is_own(name)) return name;
  }
  return "";
}

// Empty: all of them can be carried out.
std::string problem_of(const HTTPRoute::Filters& filters) {
  for (const auto* modifier : {&filters.request_headers, &filters.response_headers}) {
    if (!*modifier) continue;
    const std::string own = own_field(**modifier);
    if (!own.empty()) {
      return "no filter changes the field " + own +
             (reads_as(own, "Host") ? ": URLRewrite has a hostname" : "");
    }
  }
  if (!filters.unknown.empty()) return "filter '" + filters.unknown.front() + "' is not known";
  for (const ObjectRef& extension : filters.extensions) {
    const bool known =
        extension.group == "gateway.envoyproxy.io" && extension.kind == "EnvoyExtensionPolicy";
    if (!known) return "filter ExtensionRef: " + extension.kind + " is not known";
  }
  return "";
}

bool has_expressions(const HTTPRoute::Match& match, std::string& wrong) {
  const auto fits = [&](const std::string& text) {
    if (is_route_regex(text)) return true;
    wrong = text;
    return false;
  };
  const auto pair_fits = [&](const HTTPRoute::Pair& pair) {
    return !pair.regex || fits(pair.value);
  };
  return (match.path_kind != HTTPRoute::PathKind::kRegex || fits(match.path)) &&
         std::all_of(match.headers.begin(), match.headers.end(), pair_fits) &&
         std::all_of(match.query.begin(), match.query.end(), pair_fits);
}

// Of several with one name the first counts.
void keep_first(std::vector<HTTPRoute::Pair>& pairs,
                bool (*equal)(std::string_view, std::string_view)) {
  std::vector<HTTPRoute::Pair> kept;
  for (HTTPRoute::Pair& pair : pairs) {
    const bool known = std::any_of(kept.begin(), kept.end(), [&](const HTTPRoute::Pair& other) {
      return equal(other.name, pair.name);
    });
    if (!known) kept.push_back(std::move(pair));
  }
  pairs = std::move(kept);
}

HTTPRoute::Match with_names_once(HTTPRoute::Match match) {
  keep_first(match.headers, equal_ignoring_case);
  keep_first(match.query, [](std::string_view a, std::string_view b) { return a == b; });
  return match;
}

// A filter of one backend alone.
std::string backend_problem_of(const HTTPRoute::Filters& filters) {
  // A preflight request goes to no backend, so that none could be asked.
  if (filters.cors) return "CORS of a backend is not carried out: give it to the rule";
  if (!filters.mirrors.empty()) {
    return "RequestMirror of a backend is not carried out: give it to the rule";
  }
  return problem_of(filters);
}

// Zero is no limit.
std::optional<Duration> limit_of(const std::optional<Duration>& said) {
  return said && *said > Duration::zero() ? said : std::nullopt;
}

ResolvedRule resolve_rule(References& references, const HTTPRoute& route, size_t index) {
  const HTTPRoute::Rule& written = route.rules[index];
  auto rule = std::make_shared<RouteRule>();
  ResolvedRule resolved;
  rule->route = route.meta.key();
  rule->index = index;
  rule->name = written.name;
  rule->filters = written.filters;
  if (written.filters.cors) rule->cors.emplace(*written.filters.cors);
  rule->problem = problem_of(written.filters);
  for (const HTTPRoute::Match& match : written.matches) {
    std::string wrong;
    if (has_expressions(match, wrong)) {
      resolved.matches.push_back(with_names_once(match));
    } else if (rule->problem.empty()) {
      rule->problem = "'" + wrong + "' is no regular expression";
    }
  }
  for (const HTTPRoute::Backend& one : written.backends) {
    RouteBackend backend = references.backend(one.ref);
    backend.weight = static_cast<uint32_t>(one.weight);
    backend.filters = one.filters;
    rule->weights += backend.weight;
    const std::string problem = backend_problem_of(one.filters);
    if (rule->problem.empty()) rule->problem = problem;
    rule->backends.push_back(std::move(backend));
  }
  for (const HTTPRoute::Mirror& mirror : written.filters.mirrors) {
    rule->mirrors.push_back(references.backend(mirror.to));
  }
  rule->request_timeout = limit_of(written.request_timeout);
  rule->backend_timeout = limit_of(written.backend_timeout);
  rule->retry = written.retry;
  resolved.unresolved = references.take();
  resolved.rule = std::move(rule);
  return resolved;
}

}  // namespace

std::vector<ResolvedRule> resolve_rules(const ObjectStore& store, const HTTPRoute& route) {
  References references(store, route);
  std::vector<ResolvedRule> rules;
  for (size_t i = 0; i < route.rules.size(); ++i) {
    rules.push_back(resolve_rule(references, route, i));
  }
  return rules;
}

}  // namespace kvasir
