#include "routes/listener_checks.h"

#include <algorithm>
#include <utility>

#include "wire/kube/kube_types.h"

namespace kvasir {
namespace {

using Listener = KubeGateway::Listener;

bool is_http(const Listener& listener) {
  return listener.protocol == "HTTP" || listener.protocol == "HTTPS";
}

// Those that the rules of the API keep apart by port and host name alone.
bool clashes(const Listener& a, const Listener& b, std::string& reason) {
  if (&a == &b || a.port != b.port || !is_http(a) || !is_http(b)) return false;
  if (a.protocol != b.protocol) {
    reason = "ProtocolConflict";
    return true;
  }
  if (a.hostname != b.hostname) return false;
  reason = "HostnameConflict";
  return true;
}

RouteCondition conflict_of(const KubeGateway& gateway, const Listener& listener) {
  for (const Listener& other : gateway.listeners) {
    std::string reason;
    if (!clashes(listener, other, reason)) continue;
    return {"Conflicted", true, reason,
            "listener '" + other.name + "' has port " + std::to_string(other.port) +
                (reason == "HostnameConflict" ? " and the same host name, too"
                                              : " with protocol " + other.protocol)};
  }
  return {"Conflicted", false, "NoConflicts", ""};
}

RouteCondition accepted_of(const Listener& listener) {
  if (is_http(listener)) return {"Accepted", true, "Accepted", ""};
  return {"Accepted", false, "UnsupportedProtocol",
          "protocol " + listener.protocol + " is not served: HTTP and HTTPS are"};
}

// Empty: it can be used.
RouteCondition certificate_problem(const ObjectStore& store, const KubeGateway& gateway,
                                   const ObjectRef& ref) {
  const auto invalid = [&](const std::string& why) {
    return RouteCondition{"ResolvedRefs", false, "InvalidCertificateRef", why};
  };
  if (!ref.group.empty() || ref.kind != "Secret") {
    return invalid("a certificate is a Secret, not a " + ref.kind);
  }
  const std::string& name_space = ref.name_space.empty() ? gateway.meta.name_space : ref.name_space;
  const ObjectKey key{name_space, ref.name};
  const bool is_foreign = name_space != gateway.meta.name_space;
  if (is_foreign &&
      !is_granted(store, {std::string(kGatewayGroup), "Gateway", gateway.meta.name_space}, ref)) {
    return {"ResolvedRefs", false, "RefNotPermitted",
            "no ReferenceGrant in namespace " + name_space + " lets this Gateway use Secret " +
                to_string(key)};
  }
  const auto secret = store.get<Secret>(name_space, ref.name);
  if (secret == nullptr) return invalid("there is no Secret " + to_string(key));
  for (const char* member : {"tls.crt", "tls.key"}) {
    const auto found = secret->data.find(member);
    if (found == secret->data.end() || found->second.find("-----BEGIN ") == std::string::npos) {
      return invalid("Secret " + to_string(key) + " has no PEM in " + member);
    }
  }
  return {};
}

RouteCondition resolved_of(const ObjectStore& store, const KubeGateway& gateway,
                           const Listener& listener, bool has_unknown_kinds) {
  if (has_unknown_kinds) {
    return {"ResolvedRefs", false, "InvalidRouteKinds",
            "of the kinds that it allows only HTTPRoute is known"};
  }
  if (listener.protocol == "HTTPS" && listener.certificates.empty()) {
    return {"ResolvedRefs", false, "InvalidCertificateRef", "protocol HTTPS needs a certificate"};
  }
  for (const ObjectRef& ref : listener.certificates) {
    RouteCondition problem = certificate_problem(store, gateway, ref);
    if (!problem.type.empty()) return problem;
  }
  return {"ResolvedRefs", true, "ResolvedRefs", ""};
}

bool is_http_route(const Listener::RouteKind& kind) {
  return kind.group == kGatewayGroup && kind.kind == "HTTPRoute";
}

CheckedListener check_listener(const ObjectStore& store, const KubeGateway& gateway,
                               const Listener& listener) {
  CheckedListener checked;
  checked.listener = &listener;
  checked.status.name = listener.name;
  const auto& kinds = listener.route_kinds;
  checked.takes_http_routes =
      is_http(listener) &&
      (kinds.empty() || std::any_of(kinds.begin(), kinds.end(), is_http_route));
  if (checked.takes_http_routes) {
    checked.status.supported_kinds.push_back({std::string(kGatewayGroup), "HTTPRoute"});
  }
  const bool unknown_kinds = !std::all_of(kinds.begin(), kinds.end(), is_http_route);
  const RouteCondition accepted = accepted_of(listener);
  const RouteCondition conflicted = conflict_of(gateway, listener);
  const RouteCondition resolved = resolved_of(store, gateway, listener, unknown_kinds);
  const bool certificates = resolved.holds || resolved.reason == "InvalidRouteKinds";
  checked.serves = accepted.holds && !conflicted.holds && certificates;
  RouteCondition taken = accepted;
  if (conflicted.holds) {
    taken = {"Accepted", false, conflicted.reason, conflicted.message};
  }
  RouteCondition programmed{"Programmed", true, "Programmed", ""};
  if (!checked.serves || !resolved.holds) {
    programmed = {"Programmed", false, "Invalid", "other conditions say why"};
  }
  checked.status.conditions = {taken, programmed, resolved, conflicted};
  return checked;
}

}  // namespace

bool CheckedListener::allows(const std::string& gateway_namespace,
                             const std::string& route_namespace,
                             const std::map<std::string, std::string>& labels) const {
  switch (listener->from) {
    case Listener::From::kAll:
      return true;
    case Listener::From::kSame:
      return gateway_namespace == route_namespace;
    case Listener::From::kSelector:
      return listener->namespaces.selects(labels);
    case Listener::From::kNone:
      return false;
  }
  return false;
}

std::vector<CheckedListener> check_listeners(const ObjectStore& store, const KubeGateway& gateway) {
  std::vector<CheckedListener> checked;
  for (const Listener& listener : gateway.listeners) {
    checked.push_back(check_listener(store, gateway, listener));
  }
  return checked;
}

bool is_granted(const ObjectStore& store, const ReferenceGrant::From& from, const ObjectRef& to) {
  bool granted = false;
  store.for_each<ReferenceGrant>(to.name_space, [&](const ReferenceGrant& grant) {
    if (granted || grant.meta.deleting) return;
    const bool is_from =
        std::any_of(grant.from.begin(), grant.from.end(), [&](const ReferenceGrant::From& one) {
          return one.group == from.group && one.kind == from.kind &&
                 one.name_space == from.name_space;
        });
    const bool is_to =
        std::any_of(grant.to.begin(), grant.to.end(), [&](const ReferenceGrant::To& one) {
          return one.group == to.group && one.kind == to.kind &&
                 (one.name.empty() || one.name == to.name);
        });
    granted = is_from && is_to;
  });
  return granted;
}

}  // namespace kvasir
