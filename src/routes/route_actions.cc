#include "routes/route_actions.h"

namespace kvasir {
namespace {

constexpr uint16_t kHttpPort = 80;
constexpr uint16_t kHttpsPort = 443;

std::string with_query(std::string path, std::string_view query) {
  if (!query.empty()) path.append("?").append(query);
  return path;
}

std::string path_or_modified(const std::optional<PathModifier>& modifier,
                             const RouteRequest& request, const HTTPRoute::Match& match) {
  return modifier ? modified_path(*modifier, match, request.path) : std::string(request.path);
}

}  // namespace

std::string_view without_last_slash(std::string_view path) {
  if (!path.empty() && path.back() == '/') path.remove_suffix(1);
  return path;
}

std::string modified_path(const PathModifier& modifier, const HTTPRoute::Match& match,
                          std::string_view path) {
  std::string modified = modifier.value;
  if (modifier.kind == PathModifier::Kind::kReplacePrefixMatch) {
    const std::string_view rest = path.substr(without_last_slash(match.path).size());
    if (!rest.empty()) modified = std::string(without_last_slash(modified)).append(rest);
  }
  if (modified.empty() || modified.front() != '/') modified.insert(0, "/");
  return modified;
}

std::string redirect_location(const HTTPRoute::Redirect& redirect, const RouteRequest& request,
                              const HTTPRoute::Match& match) {
  const bool https = redirect.scheme.empty() ? request.tls : redirect.scheme == "https";
  uint16_t port = request.port;
  if (!redirect.scheme.empty()) port = https ? kHttpsPort : kHttpPort;
  if (redirect.port) port = *redirect.port;
  std::string location = https ? "https://" : "http://";
  location.append(redirect.hostname.empty() ? request.host : std::string_view(redirect.hostname));
  if (port != (https ? kHttpsPort : kHttpPort)) location.append(":").append(std::to_string(port));
  location += path_or_modified(redirect.path, request, match);
  return with_query(std::move(location), request.query);
}

std::string rewritten_target(const HTTPRoute::Rewrite& rewrite, const RouteRequest& request,
                             const HTTPRoute::Match& match) {
  return with_query(path_or_modified(rewrite.path, request, match), request.query);
}

}  // namespace kvasir
