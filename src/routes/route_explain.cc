#include "routes/route_explain.h"

namespace kvasir {
namespace {

std::string_view name_of(HTTPRoute::PathKind kind) {
  using PathKind = HTTPRoute::PathKind;
  switch (kind) {
    case PathKind::kExact:
      return "Exact";
    case PathKind::kPrefix:
      return "PathPrefix";
    case PathKind::kRegex:
      return "RegularExpression";
  }
  return "";
}

std::string describe(const RouteTarget& target) {
  if (target.kind == RouteTarget::Kind::kPool) return "InferencePool " + to_string(target.object);
  return "Service " + to_string(target.object) + ":" + std::to_string(target.port);
}

std::string more(std::string_view what, size_t one, size_t other) {
  return "it has more " + std::string(what) + " (" + std::to_string(one) + " against " +
         std::to_string(other) + ")";
}

std::string or_any(const std::string& hostname) {
  return hostname.empty() ? "any" : hostname;
}

}  // namespace

std::string describe_match(const HTTPRoute::Match& match) {
  std::string text(name_of(match.path_kind));
  text.append(" ").append(match.path);
  if (!match.method.empty()) text.append(", ").append(match.method);
  for (const HTTPRoute::Pair& header : match.headers) {
    text.append(", ").append(header.name).append(header.regex ? " ~ " : ": ").append(header.value);
  }
  for (const HTTPRoute::Pair& one : match.query) {
    text.append(", ?").append(one.name).append(one.regex ? " ~ " : "=").append(one.value);
  }
  return text;
}

std::string describe_backends(const RouteRule& rule) {
  if (!rule.problem.empty()) return "500: " + rule.problem;
  if (rule.filters.redirect) return "redirect " + std::to_string(rule.filters.redirect->status);
  if (rule.weights == 0) return "500: no backend has a weight";
  std::string text;
  for (const RouteBackend& backend : rule.backends) {
    if (!text.empty()) text += ", ";
    text += backend.target ? describe(*backend.target) : "500 (" + backend.problem + ")";
    if (rule.backends.size() > 1) {
      text += " " + std::to_string(backend.weight) + "/" + std::to_string(rule.weights);
    }
  }
  return text;
}

std::string describe_precedence(const RouteEntry& first, const RouteEntry& second) {
  const HTTPRoute::Match& one = first.match;
  const HTTPRoute::Match& other = second.match;
  if (first.hostname != second.hostname) {
    return "its host name is more specific (" + or_any(first.hostname) + " against " +
           or_any(second.hostname) + ")";
  }
  if (path_rank(one.path_kind) != path_rank(other.path_kind)) {
    return std::string(name_of(one.path_kind)) + " comes before " +
           std::string(name_of(other.path_kind));
  }
  if (one.path.size() != other.path.size()) {
    return "its path is longer (" + one.path + " against " + other.path + ")";
  }
  if (one.method.empty() != other.method.empty()) return "it names a method";
  if (one.headers.size() != other.headers.size()) {
    return more("header matches", one.headers.size(), other.headers.size());
  }
  if (one.query.size() != other.query.size()) {
    return more("query parameter matches", one.query.size(), other.query.size());
  }
  if (first.rule->route == second.rule->route) return "it stands first in its route";
  if (first.created_seconds != second.created_seconds) return "its route is older";
  return "its route's name comes first";
}

}  // namespace kvasir
