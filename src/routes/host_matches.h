// The matches of one host name of one listener, in the order in which they are tried. Private to
// routes/.
#pragma once

#include <re2/re2.h>

#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "routes/route_actions.h"
#include "routes/route_table.h"

namespace kvasir {

// A header or a query parameter that must have a value.
struct MatchCondition {
  std::string_view name;
  std::string_view value;
  std::unique_ptr<const RE2> regex;  // null: the value as it is

  bool holds(std::string_view of) const;
};

struct CompiledMatch {
  const RouteEntry* entry = nullptr;
  std::vector<MatchCondition> headers;
  std::vector<MatchCondition> query;
  std::unique_ptr<const RE2> path;  // of PathKind::kRegex

  // All but a path that is exact or a prefix.
  bool holds(const RouteRequest& request) const;
};

class HostMatches {
 public:
  // `entry` must outlive it.
  void add(const RouteEntry& entry);
  // After the last one.
  void sort_all();
  // Calls f(const RouteEntry&) for each match, in their order, until it returns true; then it is
  // true itself.
  template <class F>
  bool visit(const RouteRequest& request, F&& f) const;

 private:
  using Bucket = std::vector<CompiledMatch>;

  static void sort(Bucket& bucket);
  template <class F>
  static bool visit(const Bucket& bucket, const RouteRequest& request, F&& f);
  // Prefixes end where an element of the path ends: the longest first.
  template <class F>
  bool visit_prefixes(const RouteRequest& request, F&& f) const;

  std::unordered_map<std::string_view, Bucket> exact_;
  std::unordered_map<std::string_view, Bucket> prefix_;  // without the last slash
  Bucket regex_;
};

template <class F>
bool HostMatches::visit(const Bucket& bucket, const RouteRequest& request, F&& f) {
  for (const CompiledMatch& one : bucket) {
    if (one.holds(request) && f(*one.entry)) return true;
  }
  return false;
}

template <class F>
bool HostMatches::visit(const RouteRequest& request, F&& f) const {
  const auto exact = exact_.find(request.path);
  if (exact != exact_.end() && visit(exact->second, request, f)) return true;
  return visit(regex_, request, f) || visit_prefixes(request, f);
}

template <class F>
bool HostMatches::visit_prefixes(const RouteRequest& request, F&& f) const {
  std::string_view prefix = without_last_slash(request.path);
  while (true) {
    const auto found = prefix_.find(prefix);
    if (found != prefix_.end() && visit(found->second, request, f)) return true;
    if (prefix.empty()) return false;
    const size_t slash = prefix.rfind('/');
    prefix = prefix.substr(0, slash == prefix.npos ? 0 : slash);
  }
}

}  // namespace kvasir
