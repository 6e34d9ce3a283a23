#include "apps/kube_get.h"

#include <map>
#include <vector>

#include "base/text.h"
#include "wire/kube/kube_gateway_objects.h"
#include "wire/kube/kube_types.h"

namespace kvasir {
namespace {

// Fields of one line: "a=1 b=2"; those without a value are left out.
class LineFields {
 public:
  void add(const std::string& name, const std::string& value) {
    if (!value.empty()) text_ += " " + name + "=" + value;
  }
  void add(const std::string& name, bool value) {
    add(name, std::string(value ? "true" : "false"));
  }
  template <class Number>
  void add_number(const std::string& name, Number value) {
    add(name, std::to_string(value));
  }
  template <class Items, class Text>
  void add_all(const std::string& name, const Items& items, Text text_of) {
    std::string all;
    for (const auto& item : items) all += (all.empty() ? "" : ",") + text_of(item);
    add(name, all);
  }
  void add_map(const std::string& name, const std::map<std::string, std::string>& map) {
    add_all(name, map, [](const auto& entry) { return entry.first + ":" + entry.second; });
  }
  void add_keys(const std::string& name, const std::map<std::string, std::string>& map) {
    add_all(name, map, [](const auto& entry) { return entry.first; });
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void describe(const Pod& pod, LineFields& fields) {
  fields.add("ready", pod.ready);
  fields.add("phase", pod.phase);
  fields.add("ip", pod.ip);
  fields.add("node", pod.node_name);
}

void describe(const Service& service, LineFields& fields) {
  fields.add("type", service.type);
  fields.add("ip", service.cluster_ip);
  fields.add("external", service.external_name);
  fields.add_all("ports", service.ports,
                 [](const ServicePort& port) { return std::to_string(port.port); });
  fields.add_map("selector", service.selector);
}

void describe(const EndpointSlice& slice, LineFields& fields) {
  fields.add("service", slice.service_name);
  fields.add_all("ports", slice.ports,
                 [](const EndpointSlice::Port& port) { return std::to_string(port.port); });
  fields.add_all("members", slice.members, [](const EndpointSlice::Member& member) {
    const std::string address = member.addresses.empty() ? "?" : member.addresses[0];
    return address + (member.ready ? "" : "(not ready)") +
           (member.terminating ? "(terminating)" : "");
  });
}

void describe(const Lease& lease, LineFields& fields) {
  fields.add("holder", lease.holder);
  fields.add_number("seconds", lease.duration_seconds);
  fields.add("renewed", lease.renew_time);
  fields.add_number("transitions", lease.transitions);
}

void describe(const InferencePool& pool, LineFields& fields) {
  fields.add_map("selector", pool.selector);
  fields.add_all("ports", pool.target_ports, [](uint16_t port) { return std::to_string(port); });
  if (pool.picker) fields.add("picker", pool.picker->name);
}

void describe(const InferenceObjective& objective, LineFields& fields) {
  fields.add("pool", objective.pool.name);
  fields.add_number("priority", objective.priority);
}

void describe(const InferenceModelRewrite& rewrite, LineFields& fields) {
  fields.add("pool", rewrite.pool.name);
  for (const InferenceModelRewrite::Rule& rule : rewrite.rules) {
    fields.add_all("models", rule.models, [](const std::string& model) { return model; });
    fields.add_all("to", rule.targets, [](const InferenceModelRewrite::Target& target) {
      return target.model + (target.weight ? ":" + std::to_string(*target.weight) : "");
    });
  }
}

void describe(const KubeGateway& gateway, LineFields& fields) {
  fields.add("class", gateway.class_name);
  fields.add_all("listeners", gateway.listeners, [](const KubeGateway::Listener& listener) {
    const std::string host = listener.hostname.empty() ? "" : "/" + listener.hostname;
    return listener.name + ":" + listener.protocol + ":" + std::to_string(listener.port) + host;
  });
}

void describe(const HTTPRoute& route, LineFields& fields) {
  fields.add_all("parents", route.parents,
                 [](const HTTPRoute::ParentRef& parent) { return parent.to.name; });
  fields.add_all("hostnames", route.hostnames, [](const std::string& name) { return name; });
  for (const HTTPRoute::Rule& rule : route.rules) {
    fields.add_all("backends", rule.backends,
                   [](const HTTPRoute::Backend& backend) { return backend.ref.to.name; });
  }
}

void describe(const ReferenceGrant& grant, LineFields& fields) {
  fields.add_all("from", grant.from, [](const ReferenceGrant::From& from) {
    return from.kind + ":" + from.name_space;
  });
  fields.add_all("to", grant.to, [](const ReferenceGrant::To& to) {
    return to.kind + (to.name.empty() ? "" : ":" + to.name);
  });
}

std::string fields_of(const KubeObject& object) {
  LineFields fields;
  switch (object.type->as) {
    case KubeKind::kPod:
      describe(static_cast<const Pod&>(object), fields);
      break;
    case KubeKind::kService:
      describe(static_cast<const Service&>(object), fields);
      break;
    case KubeKind::kEndpointSlice:
      describe(static_cast<const EndpointSlice&>(object), fields);
      break;
    case KubeKind::kNode:
    case KubeKind::kNamespace:
      break;
    case KubeKind::kSecret:
      fields.add("type", static_cast<const Secret&>(object).secret_type);
      fields.add_keys("data", static_cast<const Secret&>(object).data);
      break;
    case KubeKind::kConfigMap:
      fields.add_keys("data", static_cast<const ConfigMap&>(object).data);
      break;
    case KubeKind::kLease:
      describe(static_cast<const Lease&>(object), fields);
      break;
    case KubeKind::kInferencePool:
      describe(static_cast<const InferencePool&>(object), fields);
      break;
    case KubeKind::kInferenceObjective:
      describe(static_cast<const InferenceObjective&>(object), fields);
      break;
    case KubeKind::kInferenceModelRewrite:
      describe(static_cast<const InferenceModelRewrite&>(object), fields);
      break;
    case KubeKind::kGatewayClass:
      fields.add("controller", static_cast<const GatewayClass&>(object).controller);
      break;
    case KubeKind::kGateway:
      describe(static_cast<const KubeGateway&>(object), fields);
      break;
    case KubeKind::kHTTPRoute:
      describe(static_cast<const HTTPRoute&>(object), fields);
      break;
    case KubeKind::kReferenceGrant:
      describe(static_cast<const ReferenceGrant&>(object), fields);
      break;
  }
  if (object.meta.deleting) fields.add("deleting", true);
  fields.add_map("labels", object.meta.labels);
  return fields.text();
}

}  // namespace

std::string object_line(const KubeObject& object) {
  return to_string(object.meta.key()) + " " + fields_of(object);
}

const KubeType* find_type_by_word(const std::string& word) {
  const size_t dot = std::min(word.find('.'), word.size());
  const std::string name = lower_case(word.substr(0, dot));
  const std::string group = dot < word.size() ? word.substr(dot + 1) : "";
  for (const KubeType& type : kube_types()) {
    const std::string kind = lower_case(type.kind);
    if (name != kind && name != type.plural) continue;
    if (dot == word.size() || type.group == group) return &type;
  }
  return nullptr;
}

}  // namespace kvasir
