// The kinds of the Gateway API but for routes, and what all of them share.
#include <algorithm>
#include <charconv>
#include <utility>

#include "base/text.h"
#include "wire/kube/kube_gateway_fields.h"
#include "wire/kube/kube_names.h"

namespace kvasir {
namespace {

constexpr size_t kListenersMost = 64;
constexpr size_t kCertificatesMost = 64;
constexpr size_t kRouteKindsMost = 8;
constexpr size_t kGrantEntriesMost = 16;
constexpr size_t kDurationPartsMost = 4;
constexpr size_t kCorsOriginBytesMost = 253;
constexpr size_t kDurationDigitsMost = 5;

constexpr ByteSet kFieldNameBytes = letters_digits_and("!#$%&'*+-.^_`|~");

void read_tls(const KubeField& tls, KubeGateway::Listener& listener) {
  if (!tls.present()) return;
  listener.has_tls = true;
  const KubeField mode = tls["mode"];
  const std::string_view name = mode.text().value_or("Terminate");
  listener.terminates_tls = name == "Terminate";
  if (!listener.terminates_tls && name != "Passthrough") {
    mode.problem("must be Terminate or Passthrough");
  }
  const KubeField certificates = tls["certificateRefs"];
  check_size(certificates, kCertificatesMost);
  certificates.for_each([&](const KubeField& field) {
    listener.certificates.push_back(read_object_ref(field, {"", "Secret", {}, {}}));
  });
}

void read_allowed_routes(const KubeField& allowed, KubeGateway::Listener& listener) {
  const KubeField namespaces = allowed["namespaces"];
  const KubeField from = namespaces["from"];
  using From = KubeGateway::Listener::From;
  constexpr std::pair<std::string_view, From> kFrom[] = {{"Same", From::kSame},
                                                         {"All", From::kAll},
                                                         {"Selector", From::kSelector},
                                                         {"None", From::kNone}};
  listener.from = read_choice(from, kFrom, From::kSame);
  const KubeField selector = namespaces["selector"];
  if (listener.from == From::kSelector && !selector.present()) selector.missing();
  read_label_selector(selector, listener.namespaces);
  const KubeField kinds = allowed["kinds"];
  check_size(kinds, kRouteKindsMost);
  kinds.for_each([&](const KubeField& field) {
    const KubeField group = field["group"];
    const KubeField kind = field["kind"];
    listener.route_kinds.push_back(
        {std::string(group.text().value_or(kGatewayGroup)), std::string(kind.required_text())});
  });
}

KubeGateway::Listener read_listener(const KubeField& field) {
  KubeGateway::Listener listener;
  const KubeField name = field["name"];
  listener.name = name.required_text();
  if (!listener.name.empty() && !is_dns_subdomain(listener.name)) {
    name.problem("must be lower case letters, digits, '-' and '.', 253 at most");
  }
  listener.hostname = read_hostname(field["hostname"], Wildcard::kAllowed);
  const KubeField port = field["port"];
  listener.port = static_cast<uint16_t>(port.required_whole_number(1, kKubePortMost).value_or(0));
  const KubeField protocol = field["protocol"];
  listener.protocol = protocol.required_text();
  const KubeField tls = field["tls"];
  read_tls(tls, listener);
  if (tls.present() && listener.protocol == "HTTP") tls.problem("is not for protocol HTTP");
  if (listener.protocol == "HTTPS" && !listener.terminates_tls) {
    const KubeField mode = tls["mode"];
    mode.problem("must be Terminate with protocol HTTPS");
  }
  read_allowed_routes(field["allowedRoutes"], listener);
  return listener;
}

void check_listener_names(const KubeField& listeners, const KubeGateway& gateway) {
  for (const KubeGateway::Listener& one : gateway.listeners) {
    const auto same = [&](const KubeGateway::Listener& other) { return other.name == one.name; };
    if (std::count_if(gateway.listeners.begin(), gateway.listeners.end(), same) > 1) {
      return listeners.problem("two listeners are named '" + one.name + "'");
    }
  }
}

}  // namespace

bool KubeSelector::selects(const std::map<std::string, std::string>& of) const {
  const auto has = [&](const auto& label) {
    const auto found = of.find(label.first);
    return found != of.end() && found->second == label.second;
  };
  return std::all_of(labels.begin(), labels.end(), has) &&
         std::all_of(requirements.begin(), requirements.end(),
                     [&](const LabelRequirement& one) { return one.holds(of); });
}

std::optional<Duration> gateway_duration(std::string_view text) {
  constexpr std::pair<std::string_view, Duration> kUnits[] = {
      {"ms", std::chrono::milliseconds(1)},  // before "m"
      {"h", std::chrono::hours(1)},
      {"m", std::chrono::minutes(1)},
      {"s", std::chrono::seconds(1)}};
  Duration sum{};
  size_t parts = 0;
  while (!text.empty()) {
    uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const size_t digits = static_cast<size_t>(end - text.data());
    if (error != std::errc() || digits > kDurationDigitsMost) return std::nullopt;
    text.remove_prefix(digits);
    const auto unit = std::find_if(std::begin(kUnits), std::end(kUnits), [&](const auto& one) {
      return text.substr(0, one.first.size()) == one.first;
    });
    if (unit == std::end(kUnits) || ++parts > kDurationPartsMost) return std::nullopt;
    text.remove_prefix(unit->first.size());
    sum += unit->second * number;
  }
  return parts == 0 ? std::nullopt : std::optional<Duration>(sum);
}

bool is_cors_origin(std::string_view text) {
  constexpr ByteSet kLabelBytes = letters_digits_and("-");
  if (text == "*") return true;
  if (text.size() > kCorsOriginBytesMost) return false;
  const size_t colon = text.find("://");
  const std::string_view scheme = text.substr(0, colon);
  if (colon == text.npos || (scheme != "http" && scheme != "https")) return false;
  std::string_view host = text.substr(colon + 3);
  const size_t last = host.find(':');
  if (last != host.npos) {
    const std::string_view port = host.substr(last + 1);
    uint16_t number = 0;
    const char* const end = port.data() + port.size();
    const bool is_port =
        std::from_chars(port.data(), end, number) == std::from_chars_result{end, std::errc()};
    if (!is_port || number == 0) return false;
    host = host.substr(0, last);
  }
  if (host == "*") return true;
  if (host.substr(0, 2) == "*.") host.remove_prefix(2);
  if (host.empty()) return false;
  while (true) {
    const size_t dot = host.find('.');
    const std::string_view label = host.substr(0, dot);
    if (label.empty() || !consists_of(label, kLabelBytes)) return false;
    if (dot == host.npos) return true;
    host.remove_prefix(dot + 1);
  }
}

void check_size(const KubeField& list, size_t most) {
  if (list.size() > most) list.problem("must be " + std::to_string(most) + " at most");
}

std::string read_hostname(const KubeField& field, Wildcard wildcard) {
  const std::string_view text = field.text().value_or("");
  if (text.empty()) return "";
  const bool is_wild = wildcard == Wildcard::kAllowed && text.substr(0, 2) == "*.";
  const std::string_view name = is_wild ? text.substr(2) : text;
  if (!is_dns_subdomain(name) || is_ip_address(name)) {
    field.problem(wildcard == Wildcard::kAllowed
                      ? "must be a lower case host name, or '*.' and one; no address"
                      : "must be a lower case host name; no address, no '*'");
  }
  return std::string(text);
}

std::string read_field_name(const KubeField& field) {
  const std::string_view name = field.required_text();
  if (!consists_of(name, kFieldNameBytes) || name.size() > kFieldNameBytesMost) {
    field.problem("must be a name of a header field, 256 bytes at most");
  }
  return std::string(name);
}

ObjectRef read_object_ref(const KubeField& field, const ObjectRef& defaults) {
  const KubeField group = field["group"];
  const KubeField kind = field["kind"];
  const KubeField name_space = field["namespace"];
  const KubeField name = field["name"];
  ObjectRef ref;
  if (!field.present()) field.missing();
  ref.group = group.text().value_or(defaults.group);
  ref.kind = kind.text().value_or(defaults.kind);
  ref.name_space = name_space.text().value_or("");
  ref.name = name.required_text();
  return ref;
}

void read_gateway_class(const KubeField& object, GatewayClass& read) {
  const KubeField spec = object["spec"];
  if (!spec.present()) return spec.missing();
  const KubeField controller = spec["controllerName"];
  read.controller = controller.required_text();
}

void read_gateway(const KubeField& object, KubeGateway& gateway) {
  const KubeField spec = object["spec"];
  if (!spec.present()) return spec.missing();
  const KubeField class_name = spec["gatewayClassName"];
  gateway.class_name = class_name.required_text();
  const KubeField listeners = spec["listeners"];
  if (!listeners.present()) listeners.missing();
  if (listeners.is_empty_list()) listeners.problem("must have a listener");
  check_size(listeners, kListenersMost);
  listeners.for_each(
      [&](const KubeField& field) { gateway.listeners.push_back(read_listener(field)); });
  check_listener_names(listeners, gateway);
}

void read_reference_grant(const KubeField& object, ReferenceGrant& grant) {
  const KubeField spec = object["spec"];
  if (!spec.present()) return spec.missing();
  const KubeField from = spec["from"];
  if (!from.present()) from.missing();
  check_size(from, kGrantEntriesMost);
  from.for_each([&](const KubeField& field) {
    const KubeField group = field["group"];
    const KubeField kind = field["kind"];
    const KubeField name_space = field["namespace"];
    grant.from.push_back({std::string(group.text().value_or("")), std::string(kind.required_text()),
                          std::string(name_space.required_text())});
  });
  const KubeField to = spec["to"];
  if (!to.present()) to.missing();
  check_size(to, kGrantEntriesMost);
  to.for_each([&](const KubeField& field) {
    const KubeField group = field["group"];
    const KubeField kind = field["kind"];
    const KubeField name = field["name"];
    grant.to.push_back({std::string(group.text().value_or("")), std::string(kind.required_text()),
                        std::string(name.text().value_or(""))});
  });
}

}  // namespace kvasir
