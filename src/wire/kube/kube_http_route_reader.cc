// HTTPRoute: rules, matches, filters, backends. What the API server would refuse is a problem; what
// it takes and an implementation may refuse (a filter that is not known) is kept as it is written.
#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "base/text.h"
#include "wire/kube/kube_gateway_fields.h"

namespace kvasir {
namespace {

using Filters = HTTPRoute::Filters;
using PathKind = HTTPRoute::PathKind;

constexpr size_t kParentsMost = 32;
constexpr size_t kHostnamesMost = 16;
constexpr size_t kRulesMost = 16;
constexpr size_t kMatchesMost = 64;
constexpr size_t kMatchesOfRouteMost = 128;
constexpr size_t kPairsMost = 16;
constexpr size_t kFiltersMost = 16;
constexpr size_t kBackendsMost = 16;
constexpr size_t kHeaderChangesMost = 16;
constexpr size_t kCorsListMost = 64;
constexpr size_t kPathBytesMost = 1024;
constexpr size_t kHeaderValueBytesMost = 4096;
constexpr size_t kQueryValueBytesMost = 1024;
constexpr int64_t kBackendWeightMost = 1'000'000;
constexpr int64_t kNumberMost = std::numeric_limits<int32_t>::max();
constexpr ByteSet kPathBytes = letters_digits_and("-/._~!$&'()*+,;=:@%");

constexpr std::string_view kMethods[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                         "CONNECT", "OPTIONS", "TRACE", "PATCH"};

std::optional<uint16_t> read_optional_port(const KubeField& field) {
  const auto port = field.whole_number(1, kKubePortMost);
  return port ? std::optional<uint16_t>(static_cast<uint16_t>(*port)) : std::nullopt;
}

std::string limited_text(const KubeField& field, size_t most) {
  const std::string_view text = field.required_text();
  if (text.size() > most) field.problem("must be " + std::to_string(most) + " bytes at most");
  return std::string(text);
}

bool has_bad_escape(std::string_view path) {
  for (size_t at = path.find('%'); at != path.npos; at = path.find('%', at + 1)) {
    if (at + 2 >= path.size()) return true;
    if (hex_value(path[at + 1]) < 0 || hex_value(path[at + 2]) < 0) return true;
  }
  return false;
}

void check_path(const KubeField& field, std::string_view path) {
  const auto ends_with = [&](std::string_view end) {
    return path.size() >= end.size() && path.substr(path.size() - end.size()) == end;
  };
  if (path.substr(0, 1) != "/") return field.problem("must begin with '/'");
  for (const std::string_view part : {"//", "/./", "/../", "%2f", "%2F"}) {
    if (path.find(part) == path.npos) continue;
    return field.problem("must not hold '" + std::string(part) + "'");
  }
  if (ends_with("/.") || ends_with("/..")) return field.problem("must not end with '/.' or '/..'");
  if (!consists_of(path, kPathBytes) || has_bad_escape(path)) {
    field.problem("has a byte that must be percent-encoded");
  }
}

void read_path_match(const KubeField& field, HTTPRoute::Match& match) {
  constexpr std::pair<std::string_view, PathKind> kKinds[] = {
      {"PathPrefix", PathKind::kPrefix},
      {"Exact", PathKind::kExact},
      {"RegularExpression", PathKind::kRegex}};
  const KubeField type = field["type"];
  match.path_kind = read_choice(type, kKinds, PathKind::kPrefix);
  const KubeField value = field["value"];
  if (!value.present()) return;
  match.path = limited_text(value, kPathBytesMost);
  if (match.path_kind != PathKind::kRegex) check_path(value, match.path);
}

HTTPRoute::Pair read_pair(const KubeField& field, size_t value_bytes_most) {
  constexpr std::pair<std::string_view, bool> kKinds[] = {{"Exact", false},
                                                          {"RegularExpression", true}};
  const KubeField name = field["name"];
  const KubeField value = field["value"];
  const KubeField type = field["type"];
  HTTPRoute::Pair pair;
  pair.name = read_field_name(name);
  pair.value = limited_text(value, value_bytes_most);
  pair.regex = read_choice(type, kKinds, false);
  return pair;
}

HTTPRoute::Match read_match(const KubeField& field) {
  HTTPRoute::Match match;
  read_path_match(field["path"], match);
  const KubeField headers = field["headers"];
  check_size(headers, kPairsMost);
  headers.for_each([&](const KubeField& header) {
    match.headers.push_back(read_pair(header, kHeaderValueBytesMost));
  });
  const KubeField query = field["queryParams"];
  check_size(query, kPairsMost);
  query.for_each([&](const KubeField& parameter) {
    match.query.push_back(read_pair(parameter, kQueryValueBytesMost));
  });
  const KubeField method = field["method"];
  match.method = method.text().value_or("");
  const bool known =
      std::find(std::begin(kMethods), std::end(kMethods), match.method) != std::end(kMethods);
  if (!match.method.empty() && !known) method.problem("must be a method, as GET or POST");
  return match;
}

HeaderModifier::Field read_header_change(const KubeField& field) {
  const KubeField name = field["name"];
  const KubeField value = field["value"];
  HeaderModifier::Field change;
  change.name = read_field_name(name);
  change.value = limited_text(value, kHeaderValueBytesMost);
  const auto is_control = [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  };
  if (std::any_of(change.value.begin(), change.value.end(), is_control)) {
    value.problem("has a control character");
  }
  return change;
}

HeaderModifier read_header_modifier(const KubeField& field) {
  HeaderModifier modifier;
  const KubeField set = field["set"];
  check_size(set, kHeaderChangesMost);
  set.for_each([&](const KubeField& one) { modifier.set.push_back(read_header_change(one)); });
  const KubeField add = field["add"];
  check_size(add, kHeaderChangesMost);
  add.for_each([&](const KubeField& one) { modifier.add.push_back(read_header_change(one)); });
  const KubeField remove = field["remove"];
  check_size(remove, kHeaderChangesMost);
  remove.for_each([&](const KubeField& one) { modifier.remove.push_back(read_field_name(one)); });
  return modifier;
}

HTTPRoute::BackendRef read_backend_ref(const KubeField& field) {
  HTTPRoute::BackendRef ref;
  ref.to = read_object_ref(field, {"", "Service", {}, {}});
  const KubeField port = field["port"];
  ref.port = read_optional_port(port);
  if (!port.present() && ref.to.group.empty() && ref.to.kind == "Service") {
    port.problem("missing: a Service needs one");
  }
  return ref;
}

HTTPRoute::Mirror read_mirror(const KubeField& field) {
  HTTPRoute::Mirror mirror;
  mirror.to = read_backend_ref(field["backendRef"]);
  const KubeField percent = field["percent"];
  const KubeField fraction = field["fraction"];
  if (percent.present() && fraction.present()) {
    field.problem("must have percent or fraction, not both");
  }
  if (const auto number = percent.whole_number(0, 100)) {
    mirror.numerator = static_cast<int32_t>(*number);
    mirror.denominator = 100;
  }
  if (!fraction.present()) return mirror;
  const KubeField numerator = fraction["numerator"];
  const KubeField denominator = fraction["denominator"];
  mirror.numerator =
      static_cast<int32_t>(numerator.required_whole_number(0, kNumberMost).value_or(0));
  mirror.denominator = static_cast<int32_t>(denominator.whole_number(1, kNumberMost).value_or(100));
  if (mirror.numerator > mirror.denominator) {
    fraction.problem("numerator must be at most denominator");
  }
  return mirror;
}

std::optional<PathModifier> read_path_modifier(const KubeField& field) {
  if (!field.present()) return std::nullopt;
  using Kind = PathModifier::Kind;
  constexpr std::pair<std::string_view, Kind> kKinds[] = {
      {"ReplaceFullPath", Kind::kReplaceFullPath},
      {"ReplacePrefixMatch", Kind::kReplacePrefixMatch}};
  const KubeField type = field["type"];
  if (!type.present()) type.missing();
  PathModifier modifier;
  modifier.kind = read_choice(type, kKinds, Kind::kReplaceFullPath);
  const bool full = modifier.kind == Kind::kReplaceFullPath;
  const KubeField value = field[full ? "replaceFullPath" : "replacePrefixMatch"];
  const KubeField other = field[full ? "replacePrefixMatch" : "replaceFullPath"];
  if (!value.present()) value.missing();
  if (other.present()) other.problem("does not fit the type");
  modifier.value = value.text().value_or("");  // may be empty
  if (modifier.value.size() > kPathBytesMost) value.problem("must be 1024 bytes at most");
  if (!consists_of(modifier.value, kPathBytes) || has_bad_escape(modifier.value)) {
    value.problem("has a byte that must be percent-encoded");
  }
  return modifier;
}

HTTPRoute::Redirect read_redirect(const KubeField& field) {
  HTTPRoute::Redirect redirect;
  const KubeField scheme = field["scheme"];
  redirect.scheme = scheme.text().value_or("");
  if (!redirect.scheme.empty() && redirect.scheme != "http" && redirect.scheme != "https") {
    scheme.problem("must be http or https");
  }
  redirect.hostname = read_hostname(field["hostname"], Wildcard::kForbidden);
  redirect.path = read_path_modifier(field["path"]);
  redirect.port = read_optional_port(field["port"]);
  const KubeField status = field["statusCode"];
  redirect.status = static_cast<int>(status.whole_number(301, 308).value_or(302));
  constexpr int kStatuses[] = {301, 302, 303, 307, 308};
  if (std::find(std::begin(kStatuses), std::end(kStatuses), redirect.status) ==
      std::end(kStatuses)) {
    status.problem("must be 301, 302, 303, 307 or 308");
  }
  return redirect;
}

HTTPRoute::Rewrite read_rewrite(const KubeField& field) {
  HTTPRoute::Rewrite rewrite;
  rewrite.hostname = read_hostname(field["hostname"], Wildcard::kForbidden);
  rewrite.path = read_path_modifier(field["path"]);
  return rewrite;
}

void read_names(const KubeField& list, std::vector<std::string>& names) {
  check_size(list, kCorsListMost);
  list.for_each([&](const KubeField& field) { names.emplace_back(field.required_text()); });
  const bool wild = std::find(names.begin(), names.end(), "*") != names.end();
  if (wild && names.size() > 1) list.problem("must not hold others beside '*'");
}

HTTPRoute::Cors read_cors(const KubeField& field) {
  HTTPRoute::Cors cors;
  const KubeField origins = field["allowOrigins"];
  read_names(origins, cors.origins);
  for (const std::string& origin : cors.origins) {
    if (is_cors_origin(origin)) continue;
    origins.problem("'" + origin.substr(0, 64) +
                    "' must be http(s)://HOST[:PORT], whose HOST may begin with '*.', or '*'");
  }
  cors.credentials = field["allowCredentials"].boolean(false);
  read_names(field["allowMethods"], cors.methods);
  read_names(field["allowHeaders"], cors.headers);
  read_names(field["exposeHeaders"], cors.exposed);
  cors.max_age_seconds =
      static_cast<int32_t>(field["maxAge"].whole_number(1, kNumberMost).value_or(5));
  return cors;
}

// A filter that may be there once.
template <class T, class Read>
void read_once(const KubeField& filter, std::string_view member, std::optional<T>& read,
               Read&& reader) {
  const KubeField field = filter[member];
  if (!field.present()) return field.missing();
  if (read) return filter.problem("there is another one of this type");
  read = reader(field);
}

void read_filter(const KubeField& filter, Filters& filters) {
  const KubeField type_field = filter["type"];
  const std::string_view type = type_field.required_text();
  if (type == "RequestHeaderModifier") {
    read_once(filter, "requestHeaderModifier", filters.request_headers, read_header_modifier);
  } else if (type == "ResponseHeaderModifier") {
    read_once(filter, "responseHeaderModifier", filters.response_headers, read_header_modifier);
  } else if (type == "RequestRedirect") {
    read_once(filter, "requestRedirect", filters.redirect, read_redirect);
  } else if (type == "URLRewrite") {
    read_once(filter, "urlRewrite", filters.rewrite, read_rewrite);
  } else if (type == "CORS") {
    read_once(filter, "cors", filters.cors, read_cors);
  } else if (type == "RequestMirror") {
    const KubeField mirror = filter["requestMirror"];
    if (!mirror.present()) return mirror.missing();
    filters.mirrors.push_back(read_mirror(mirror));
  } else if (type == "ExtensionRef") {
    filters.extensions.push_back(read_object_ref(filter["extensionRef"], {}));
  } else if (!type.empty()) {
    filters.unknown.emplace_back(type);
  }
}

Filters read_filters(const KubeField& list) {
  Filters filters;
  check_size(list, kFiltersMost);
  list.for_each([&](const KubeField& filter) { read_filter(filter, filters); });
  if (filters.redirect && filters.rewrite) {
    list.problem("must have RequestRedirect or URLRewrite, not both");
  }
  return filters;
}

HTTPRoute::Backend read_backend(const KubeField& field) {
  HTTPRoute::Backend backend;
  backend.ref = read_backend_ref(field);
  backend.weight =
      static_cast<int32_t>(field["weight"].whole_number(0, kBackendWeightMost).value_or(1));
  backend.filters = read_filters(field["filters"]);
  return backend;
}

std::optional<Duration> read_duration(const KubeField& field) {
  const auto text = field.text();
  if (!text) return std::nullopt;
  const auto duration = gateway_duration(*text);
  if (!duration) field.problem("must be a duration such as 30s, 500ms or 1h30m");
  return duration;
}

void read_timeouts(const KubeField& field, HTTPRoute::Rule& rule) {
  rule.request_timeout = read_duration(field["request"]);
  const KubeField backend = field["backendRequest"];
  rule.backend_timeout = read_duration(backend);
  if (!rule.request_timeout || !rule.backend_timeout) return;
  const bool limited = *rule.request_timeout > Duration::zero();
  if (limited && *rule.backend_timeout > *rule.request_timeout) {
    backend.problem("must not be longer than request");
  }
}

std::optional<HTTPRoute::Retry> read_retry(const KubeField& field) {
  if (!field.present()) return std::nullopt;
  HTTPRoute::Retry retry;
  const KubeField codes = field["codes"];
  codes.for_each([&](const KubeField& code) {
    if (const auto number = code.whole_number(400, 599)) {
      retry.codes.push_back(static_cast<int>(*number));
    }
  });
  if (const auto attempts = field["attempts"].whole_number(1, kNumberMost)) {
    retry.attempts = static_cast<int32_t>(*attempts);
  }
  retry.backoff = read_duration(field["backoff"]);
  return retry;
}

bool replaces_prefix(const Filters& filters) {
  const auto is_prefix = [](const std::optional<PathModifier>& path) {
    return path && path->kind == PathModifier::Kind::kReplacePrefixMatch;
  };
  return (filters.redirect && is_prefix(filters.redirect->path)) ||
         (filters.rewrite && is_prefix(filters.rewrite->path));
}

void check_rule(const KubeField& field, const HTTPRoute::Rule& rule) {
  if (rule.filters.redirect && !rule.backends.empty()) {
    field.problem("must have RequestRedirect or backendRefs, not both");
  }
  bool replaces = replaces_prefix(rule.filters);
  for (const HTTPRoute::Backend& backend : rule.backends) {
    replaces = replaces || replaces_prefix(backend.filters);
  }
  const bool one_prefix =
      rule.matches.size() == 1 && rule.matches[0].path_kind == PathKind::kPrefix;
  if (replaces && !one_prefix) {
    field.problem("replacePrefixMatch needs exactly one match, of type PathPrefix");
  }
}

HTTPRoute::Rule read_rule(const KubeField& field) {
  HTTPRoute::Rule rule;
  rule.name = field["name"].text().value_or("");
  const KubeField matches = field["matches"];
  check_size(matches, kMatchesMost);
  matches.for_each([&](const KubeField& match) { rule.matches.push_back(read_match(match)); });
  if (rule.matches.empty()) rule.matches.emplace_back();
  rule.filters = read_filters(field["filters"]);
  const KubeField backends = field["backendRefs"];
  check_size(backends, kBackendsMost);
  backends.for_each(
      [&](const KubeField& backend) { rule.backends.push_back(read_backend(backend)); });
  read_timeouts(field["timeouts"], rule);
  rule.retry = read_retry(field["retry"]);
  check_rule(field, rule);
  return rule;
}

HTTPRoute::ParentRef read_parent(const KubeField& field) {
  HTTPRoute::ParentRef parent;
  parent.to = read_object_ref(field, {std::string(kGatewayGroup), "Gateway", {}, {}});
  parent.section = field["sectionName"].text().value_or("");
  parent.port = read_optional_port(field["port"]);
  return parent;
}

void read_rules(const KubeField& rules, HTTPRoute& route) {
  if (rules.is_empty_list()) rules.problem("must have a rule");
  check_size(rules, kRulesMost);
  rules.for_each([&](const KubeField& rule) { route.rules.push_back(read_rule(rule)); });
  if (!rules.present()) {
    route.rules.emplace_back();
    route.rules.back().matches.emplace_back();
  }
  const size_t matches = std::accumulate(
      route.rules.begin(), route.rules.end(), size_t{0},
      [](size_t sum, const HTTPRoute::Rule& rule) { return sum + rule.matches.size(); });
  if (matches > kMatchesOfRouteMost) rules.problem("must have 128 matches at most, together");
}

}  // namespace

void read_http_route(const KubeField& object, HTTPRoute& route) {
  const KubeField spec = object["spec"];
  if (!spec.present()) return spec.missing();
  const KubeField parents = spec["parentRefs"];
  check_size(parents, kParentsMost);
  parents.for_each([&](const KubeField& parent) { route.parents.push_back(read_parent(parent)); });
  const KubeField hostnames = spec["hostnames"];
  check_size(hostnames, kHostnamesMost);
  hostnames.for_each([&](const KubeField& name) {
    route.hostnames.push_back(read_hostname(name, Wildcard::kAllowed));
  });
  read_rules(spec["rules"], route);
}

}  // namespace kvasir
