#include "envoy_config/envoy_targets.h"

#include <utility>

#include "envoy_config/envoy_matches.h"
#include "routes/route_actions.h"

namespace kvasir {
namespace {

constexpr uint16_t kHttpPort = 80;
constexpr uint16_t kHttpsPort = 443;

std::string with_first_slash(std::string path) {
  if (path.empty() || path.front() != '/') path.insert(0, "/");
  return path;
}

EnvoyJson regex_rewrite(const std::string& regex, const std::string& by) {
  std::string substitution;
  for (const char c : by) substitution.append(c == '\\' ? 2 : 1, c);
  return {{"pattern", {{"regex", regex}}}, {"substitution", substitution}};
}

const char* redirect_code(int status) {
  switch (status) {
    case 301:
      return "MOVED_PERMANENTLY";
    case 303:
      return "SEE_OTHER";
    case 307:
      return "TEMPORARY_REDIRECT";
    case 308:
      return "PERMANENT_REDIRECT";
    default:
      return "FOUND";
  }
}

}  // namespace

void modify_path(const PathModifier& modifier, const HTTPRoute::Match& match, const char* whole,
                 EnvoyJson& action) {
  if (modifier.kind == PathModifier::Kind::kReplaceFullPath) {
    const std::string path = with_first_slash(modifier.value);
    if (whole != nullptr) {
      action[whole] = path;
    } else {
      action["regex_rewrite"] = regex_rewrite("^.*$", path);
    }
    return;
  }
  const std::string prefix(without_last_slash(match.path));
  const std::string& value = modifier.value;
  const bool ends_in_slash = value.empty() || value.back() == '/';
  std::string stem(without_last_slash(value));
  if (!stem.empty()) stem = with_first_slash(stem);
  if (prefix.empty()) {
    action["regex_rewrite"] = regex_rewrite("^/", stem + "/");
  } else if (ends_in_slash) {
    action["regex_rewrite"] = regex_rewrite("^" + literal_regex(prefix) + "/?", stem + "/");
  } else {
    action["prefix_rewrite"] = stem;
  }
}

std::vector<EnvoyJson> redirecting_routes(const HTTPRoute::Redirect& redirect,
                                          const HTTPRoute::Match& match, const VirtualHost& host,
                                          const EnvoyJson& route) {
  const bool https = redirect.scheme.empty() ? host.listener->tls : redirect.scheme == "https";
  const uint16_t own_port = https ? kHttpsPort : kHttpPort;
  const uint16_t port =
      redirect.port.value_or(redirect.scheme.empty() ? host.listener->port : own_port);
  EnvoyJson action = {{"scheme_redirect", https ? "https" : "http"}};
  const bool one_name = !host.hostname.empty() && host.hostname.front() != '*';
  std::string name = redirect.hostname;
  if (name.empty() && one_name) name = host.hostname;
  if (!name.empty()) action["host_redirect"] = name;
  if (port != own_port) action["port_redirect"] = port;
  if (redirect.path) modify_path(*redirect.path, match, "path_redirect", action);
  action["response_code"] = redirect_code(redirect.status);
  EnvoyJson plain = route;
  plain["redirect"] = action;
  if (!name.empty() || port != own_port) return {std::move(plain)};
  // Envoy leaves the port that the Host field has unless it is given another.
  EnvoyJson with_port = route;
  with_port["match"]["headers"].push_back(
      {{"name", ":authority"}, {"string_match", {{"safe_regex", {{"regex", ".*:[0-9]+"}}}}}});
  action["port_redirect"] = port;
  with_port["redirect"] = std::move(action);
  return {std::move(with_port), std::move(plain)};
}

}  // namespace kvasir
