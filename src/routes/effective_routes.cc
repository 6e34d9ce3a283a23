#include "routes/effective_routes.h"

#include <algorithm>
#include <set>
#include <utility>

#include "routes/hostnames.h"
#include "routes/listener_checks.h"
#include "routes/resolved_rules.h"

namespace kvasir {
namespace {

struct OurGateway {
  std::shared_ptr<const KubeGateway> gateway;
  std::vector<CheckedListener> listeners;
  std::vector<std::vector<RouteEntry>> entries;  // of each listener
};

std::map<std::string, std::string> namespace_labels(const ObjectStore& store,
                                                    const std::string& name) {
  std::map<std::string, std::string> labels;
  if (const auto object = store.get<Namespace>("", name)) labels = object->meta.labels;
  // An API server gives every Namespace this label.
  labels.emplace("kubernetes.io/metadata.name", name);
  return labels;
}

// Common to listener and route; one empty text stands for all.
std::vector<std::string> common_hostnames(const std::string& listener,
                                          const std::vector<std::string>& route) {
  if (route.empty()) return {listener};
  std::vector<std::string> common;
  for (const std::string& name : route) {
    if (auto both = hostname_intersection(listener, name)) common.push_back(std::move(*both));
  }
  std::sort(common.begin(), common.end());
  common.erase(std::unique(common.begin(), common.end()), common.end());
  return common;
}

void add_entries(const HTTPRoute& route, const std::vector<ResolvedRule>& rules,
                 const std::vector<std::string>& hostnames, std::vector<RouteEntry>& entries) {
  for (size_t i = 0; i < rules.size(); ++i) {
    for (const HTTPRoute::Match& match : rules[i].matches) {
      for (const std::string& hostname : hostnames) {
        entries.push_back({hostname, match, rules[i].rule, route.meta.created_seconds});
      }
    }
  }
}

// Attaches the route to the listeners that this reference means; the condition says how it went.
RouteCondition attach(const ObjectStore& store, const HTTPRoute& route,
                      const HTTPRoute::ParentRef& parent, const std::vector<ResolvedRule>& rules,
                      OurGateway& ours) {
  const std::string& name_space = route.meta.name_space;
  const auto labels = namespace_labels(store, name_space);
  bool named = false;
  bool allowed = false;
  bool attached = false;
  for (size_t i = 0; i < ours.listeners.size(); ++i) {
    CheckedListener& one = ours.listeners[i];
    if (!parent.section.empty() && parent.section != one.listener->name) continue;
    if (parent.port && *parent.port != one.listener->port) continue;
    named = true;
    const bool lets_in =
        one.takes_http_routes && one.allows(ours.gateway->meta.name_space, name_space, labels);
    if (!lets_in) continue;
    allowed = true;
    const auto hostnames = common_hostnames(one.listener->hostname, route.hostnames);
    if (hostnames.empty()) continue;
    attached = true;
    ++one.status.attached_routes;
    if (one.serves) add_entries(route, rules, hostnames, ours.entries[i]);
  }
  const std::string gateway = to_string(ours.gateway->meta.key());
  if (attached) return {"Accepted", true, "Accepted", ""};
  if (!named) {
    return {"Accepted", false, "NoMatchingParent",
            "Gateway " + gateway + " has no listener with that sectionName and port"};
  }
  if (!allowed) {
    return {"Accepted", false, "NotAllowedByListeners",
            "no listener of Gateway " + gateway + " lets HTTPRoutes of namespace " + name_space +
                " in"};
  }
  return {"Accepted", false, "NoMatchingListenerHostname",
          "none of its hostnames is one of the listeners' of Gateway " + gateway};
}

// What is wrong with the rules themselves changes what attaching them came to.
void add_rule_conditions(const std::vector<ResolvedRule>& rules,
                         std::vector<RouteCondition>& conditions) {
  const auto is_broken = [](const ResolvedRule& one) { return !one.rule->problem.empty(); };
  const auto broken = std::find_if(rules.begin(), rules.end(), is_broken);
  RouteCondition& accepted = conditions.front();
  if (broken != rules.end() && accepted.holds) {
    const std::string message = to_string(*broken->rule) + ": " + broken->rule->problem;
    if (std::all_of(rules.begin(), rules.end(), is_broken)) {
      accepted = {"Accepted", false, "UnsupportedValue", message};
    } else {
      conditions.push_back({"PartiallyInvalid", true, "UnsupportedValue", message});
    }
  }
  RouteCondition resolved{"ResolvedRefs", true, "ResolvedRefs", ""};
  for (const ResolvedRule& rule : rules) {
    if (resolved.holds && !rule.unresolved.reason.empty()) {
      resolved = {"ResolvedRefs", false, rule.unresolved.reason, rule.unresolved.message};
    }
  }
  conditions.insert(conditions.begin() + 1, std::move(resolved));
}

std::vector<RouteCondition> gateway_conditions(const std::vector<CheckedListener>& listeners) {
  std::string invalid;
  bool any = false;
  for (const CheckedListener& one : listeners) {
    any = any || one.serves;
    if (!one.serves) invalid.append(invalid.empty() ? "" : ", ").append(one.listener->name);
  }
  const std::string message = invalid.empty() ? "" : "listeners that are not served: " + invalid;
  RouteCondition accepted{"Accepted", any, invalid.empty() ? "Accepted" : "ListenersNotValid",
                          message};
  RouteCondition programmed{"Programmed", any, any ? "Programmed" : "Invalid", message};
  return {accepted, programmed};
}

// The targets of a rule, as they are known by now.
void collect_targets(const RouteRule& rule, std::set<RouteTarget>& targets) {
  for (const auto* list : {&rule.backends, &rule.mirrors}) {
    for (const RouteBackend& backend : *list) {
      if (backend.target) targets.insert(*backend.target);
    }
  }
}

std::vector<OurGateway> find_gateways(const ObjectStore& store,
                                      const std::function<bool(const KubeGateway&)>& is_ours) {
  std::vector<OurGateway> found;
  store.for_each<KubeGateway>("", [&](const KubeGateway& gateway) {
    if (gateway.meta.deleting || !is_ours(gateway)) return;
    OurGateway ours;
    ours.gateway = store.get<KubeGateway>(gateway.meta.name_space, gateway.meta.name);
    ours.listeners = check_listeners(store, gateway);
    ours.entries.resize(ours.listeners.size());
    found.push_back(std::move(ours));
  });
  return found;
}

OurGateway* parent_of(const HTTPRoute& route, const HTTPRoute::ParentRef& parent,
                      std::vector<OurGateway>& gateways) {
  if (parent.to.group != kGatewayGroup || parent.to.kind != "Gateway") return nullptr;
  const ObjectKey key{parent.to.name_space.empty() ? route.meta.name_space : parent.to.name_space,
                      parent.to.name};
  const auto found = std::find_if(gateways.begin(), gateways.end(), [&](const OurGateway& one) {
    return one.gateway->meta.key() == key;
  });
  return found == gateways.end() ? nullptr : &*found;
}

std::vector<RouteListener> table_listeners(std::vector<OurGateway>& gateways) {
  std::vector<RouteListener> listeners;
  for (OurGateway& ours : gateways) {
    for (size_t i = 0; i < ours.listeners.size(); ++i) {
      if (!ours.listeners[i].serves) continue;
      const KubeGateway::Listener& listener = *ours.listeners[i].listener;
      listeners.push_back({ours.gateway->meta.key(), listener.name, listener.port,
                           listener.protocol == "HTTPS", listener.hostname,
                           std::move(ours.entries[i])});
    }
  }
  return listeners;
}

}  // namespace

EffectiveRoutes effective_routes(const ObjectStore& store,
                                 const std::function<bool(const KubeGateway&)>& is_ours) {
  EffectiveRoutes effective;
  std::vector<OurGateway> gateways = find_gateways(store, is_ours);
  std::set<RouteTarget> targets;
  store.for_each<HTTPRoute>("", [&](const HTTPRoute& route) {
    if (route.meta.deleting) return;
    RouteStatus status{route.meta.key(), {}};
    std::vector<ResolvedRule> rules;
    for (const HTTPRoute::ParentRef& parent : route.parents) {
      OurGateway* ours = parent_of(route, parent, gateways);
      if (ours == nullptr) continue;
      if (rules.empty()) rules = resolve_rules(store, route);
      std::vector<RouteCondition> conditions{attach(store, route, parent, rules, *ours)};
      add_rule_conditions(rules, conditions);
      status.parents.push_back({parent, std::move(conditions)});
    }
    for (const ResolvedRule& rule : rules) collect_targets(*rule.rule, targets);
    if (!status.parents.empty()) effective.routes.push_back(std::move(status));
  });
  for (const OurGateway& ours : gateways) {
    GatewayStatus status{ours.gateway->meta.key(), gateway_conditions(ours.listeners), {}};
    for (const CheckedListener& one : ours.listeners) status.listeners.push_back(one.status);
    effective.gateways.push_back(std::move(status));
  }
  effective.table = std::make_shared<const RouteTable>(table_listeners(gateways));
  effective.targets.assign(targets.begin(), targets.end());
  return effective;
}

}  // namespace kvasir
