// The kinds that Kubernetes itself has.
#include <algorithm>
#include <limits>

#include "base/base64.h"
#include "wire/kube/kube_names.h"
#include "wire/kube/kube_object_reader.h"

namespace kvasir {
namespace {

constexpr int64_t kPortMost = 65535;
constexpr int64_t kInt32Most = std::numeric_limits<int32_t>::max();
constexpr size_t kSliceAddressesMost = 100;  // of one endpoint
constexpr size_t kConfigMapBytesMost = 1024 * 1024;

std::string text_or_empty(const KubeField& field) {
  return std::string(field.text().value_or(""));
}

std::string read_ip(const KubeField& field) {
  std::string ip = text_or_empty(field);
  if (!ip.empty() && !is_ip_address(ip)) field.problem("must be an IP address");
  return ip;
}

bool has_ready_condition(const KubeField& conditions) {
  bool ready = false;
  conditions.for_each([&](const KubeField& condition) {
    const KubeField type = condition["type"];
    const KubeField status = condition["status"];
    if (type.text() == "Ready") ready = status.text() == "True";
  });
  return ready;
}

// A number or the name of a container's port.
std::string read_target_port(const KubeField& field) {
  if (!field.present()) return "";
  if (field.is_text()) {
    const std::string_view name = field.required_text();
    if (!is_dns_label(name) || name.size() > 15) {
      field.problem("must be a port's number or its name: 15 lower case letters, digits and '-'");
    }
    return std::string(name);
  }
  return std::to_string(field.whole_number(1, kPortMost).value_or(0));
}

ServicePort read_service_port(const KubeField& field) {
  ServicePort port;
  port.name = text_or_empty(field["name"]);
  port.port = static_cast<uint16_t>(field["port"].required_whole_number(1, kPortMost).value_or(0));
  port.target_port = read_target_port(field["targetPort"]);
  port.app_protocol = text_or_empty(field["appProtocol"]);
  return port;
}

void check_service_ports(const KubeField& ports, const Service& service) {
  const auto named = [&](const std::string& name) {
    return std::count_if(service.ports.begin(), service.ports.end(),
                         [&](const ServicePort& port) { return port.name == name; });
  };
  if (service.ports.size() < 2) return;
  for (const ServicePort& port : service.ports) {
    if (port.name.empty()) return ports.problem("each of several ports needs a name");
    if (named(port.name) > 1) return ports.problem("two ports are named '" + port.name + "'");
  }
}

void read_service_type(const KubeField& spec, Service& service) {
  const KubeField type = spec["type"];
  service.service_type = type.text().value_or("ClusterIP");
  for (const char* known : {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"}) {
    if (service.service_type == known) return;
  }
  type.problem("must be ClusterIP, NodePort, LoadBalancer or ExternalName");
}

void read_slice_member(const KubeField& field, std::string_view address_type,
                       EndpointSlice::Member& member) {
  const KubeField addresses = field["addresses"];
  addresses.for_each([&](const KubeField& address) {
    member.addresses.emplace_back(address.required_text());
    if (address_type != "FQDN") read_ip(address);
  });
  if (!addresses.present()) addresses.missing();
  if (member.addresses.size() > kSliceAddressesMost) {
    addresses.problem("must be " + std::to_string(kSliceAddressesMost) + " at most");
  }
  const KubeField conditions = field["conditions"];
  member.ready = conditions["ready"].boolean(true);
  member.serving = conditions["serving"].boolean(true);
  member.terminating = conditions["terminating"].boolean(false);
  const KubeField target = field["targetRef"];
  member.target_name = text_or_empty(target["name"]);
  member.node_name = text_or_empty(field["nodeName"]);
}

// Line ends may stand within it, as in other readers of Secrets. What it says is never told.
std::optional<std::string> decode_secret(std::string_view text) {
  if (text.find_first_of("\r\n") == std::string_view::npos) return decode_base64(text);
  std::string joined(text);
  joined.erase(
      std::remove_if(joined.begin(), joined.end(), [](char c) { return c == '\r' || c == '\n'; }),
      joined.end());
  return decode_base64(joined);
}

}  // namespace

void read_pod(const KubeField& object, Pod& pod) {
  const KubeField spec = object["spec"];
  const KubeField status = object["status"];
  pod.ip = read_ip(status["podIP"]);
  pod.node_name = text_or_empty(spec["nodeName"]);
  pod.node_ip = read_ip(status["hostIP"]);
  pod.ready = has_ready_condition(status["conditions"]);
  pod.phase = text_or_empty(status["phase"]);
}

void read_service(const KubeField& object, Service& service) {
  const KubeField spec = object["spec"];
  if (!spec.present()) spec.missing();
  read_service_type(spec, service);
  const KubeField cluster_ip = spec["clusterIP"];
  service.cluster_ip = text_or_empty(cluster_ip);
  if (!service.cluster_ip.empty() && service.cluster_ip != "None") read_ip(cluster_ip);
  const KubeField external_name = spec["externalName"];
  service.external_name = text_or_empty(external_name);
  if (service.service_type == "ExternalName" && service.external_name.empty())
    external_name.missing();
  service.selector = spec["selector"].texts();
  const KubeField ports = spec["ports"];
  ports.for_each([&](const KubeField& port) { service.ports.push_back(read_service_port(port)); });
  const bool needs_ports = service.service_type != "ExternalName" && service.cluster_ip != "None";
  if (service.ports.empty() && needs_ports) ports.missing();
  check_service_ports(ports, service);
}

void read_endpoint_slice(const KubeField& object, EndpointSlice& slice) {
  const KubeField type = object["addressType"];
  slice.address_type = type.required_text();
  if (type.is_text() && slice.address_type != "IPv4" && slice.address_type != "IPv6" &&
      slice.address_type != "FQDN") {
    type.problem("must be IPv4, IPv6 or FQDN");
  }
  if (const std::string* name = slice.meta.label("kubernetes.io/service-name")) {
    slice.service_name = *name;
  }
  object["endpoints"].for_each([&](const KubeField& field) {
    read_slice_member(field, slice.address_type, slice.members.emplace_back());
  });
  object["ports"].for_each([&](const KubeField& field) {
    const auto number = field["port"].whole_number(1, kPortMost);
    if (!number) return;  // none: every port
    slice.ports.push_back({text_or_empty(field["name"]), static_cast<uint16_t>(*number)});
  });
}

void read_secret(const KubeField& object, Secret& secret) {
  secret.secret_type = object["type"].text().value_or("Opaque");
  object["data"].for_each_entry([&](std::string_view key, const KubeField& field) {
    const auto decoded = decode_secret(field.text().value_or(""));
    if (!decoded) return field.problem("must be base64");
    secret.data.insert_or_assign(std::string(key), *decoded);
  });
  // Of manifests: as it is, and it wins.
  object["stringData"].for_each_entry([&](std::string_view key, const KubeField& field) {
    secret.data.insert_or_assign(std::string(key), text_or_empty(field));
  });
}

void read_config_map(const KubeField& object, ConfigMap& map) {
  const KubeField data = object["data"];
  map.data = data.texts();
  size_t bytes = 0;
  for (const auto& [key, value] : map.data) bytes += key.size() + value.size();
  if (bytes > kConfigMapBytesMost) data.problem("must be 1 MiB at most");
}

void read_lease(const KubeField& object, Lease& lease) {
  const KubeField spec = object["spec"];
  lease.holder = text_or_empty(spec["holderIdentity"]);
  lease.duration_seconds =
      static_cast<int32_t>(spec["leaseDurationSeconds"].whole_number(1, kInt32Most).value_or(0));
  lease.transitions =
      static_cast<int32_t>(spec["leaseTransitions"].whole_number(0, kInt32Most).value_or(0));
  const auto read_time = [](const KubeField& time) {
    const auto text = time.text();
    if (text && !rfc3339_seconds(*text)) {
      time.problem("must be a time such as 2026-01-31T08:00:00.000000Z");
    }
    return std::string(text.value_or(""));
  };
  lease.acquire_time = read_time(spec["acquireTime"]);
  lease.renew_time = read_time(spec["renewTime"]);
}

}  // namespace kvasir
