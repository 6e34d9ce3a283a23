#include "routes/route_table.h"

#include <functional>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "routes/host_matches.h"
#include "routes/hostnames.h"

namespace kvasir {
namespace {

// Smaller comes first.
auto precedence(const RouteEntry& entry) {
  const HTTPRoute::Match& match = entry.match;
  const ObjectKey& route = entry.rule->route;
  const auto most_first = [](size_t count) { return -static_cast<int64_t>(count); };
  return std::make_tuple(path_rank(match.path_kind), most_first(match.path.size()),
                         match.method.empty(), most_first(match.headers.size()),
                         most_first(match.query.size()), entry.created_seconds,
                         std::cref(route.name_space), std::cref(route.name), entry.rule->index);
}

}  // namespace

int path_rank(HTTPRoute::PathKind kind) {
  using PathKind = HTTPRoute::PathKind;
  return kind == PathKind::kExact ? 0 : kind == PathKind::kRegex ? 1 : 2;
}

bool comes_before(const RouteEntry& a, const RouteEntry& b) {
  if (a.hostname != b.hostname) return is_more_specific_hostname(a.hostname, b.hostname);
  return precedence(a) < precedence(b);
}

struct RouteTable::Index {
  explicit Index(const RouteListener& listener) {
    for (const RouteEntry& entry : listener.entries) hosts[entry.hostname].add(entry);
    for (auto& [name, entries] : hosts) {
      entries.sort_all();
      has_wildcards = has_wildcards || name.substr(0, 1) == "*";
    }
  }

  template <class F>
  bool visit_at(std::string_view pattern, const RouteRequest& request, F&& f) const {
    const auto found = hosts.find(pattern);
    return found != hosts.end() && found->second.visit(request, f);
  }

  // In the order of precedence, until `f` returns true.
  template <class F>
  void visit(const RouteRequest& request, F&& f) const {
    if (visit_at(request.host, request, f)) return;
    // "*.b.c", then "*.c". The star stands for a label at least.
    std::string pattern = "*";
    size_t dot = request.host.find('.', 1);
    for (; dot < request.host.size() && has_wildcards; dot = request.host.find('.', dot + 1)) {
      pattern.replace(1, pattern.npos, request.host.substr(dot));
      if (visit_at(pattern, request, f)) return;
    }
    if (!request.host.empty()) visit_at("", request, f);
  }

  std::unordered_map<std::string_view, HostMatches> hosts;
  bool has_wildcards = false;
};

RouteTable::RouteTable(std::vector<RouteListener> listeners) : listeners_(std::move(listeners)) {
  for (const RouteListener& listener : listeners_) {
    indexes_.push_back(std::make_unique<const Index>(listener));
  }
}

RouteTable::~RouteTable() = default;

size_t RouteTable::listener_of(const RouteRequest& request) const {
  size_t best = listeners_.size();
  for (size_t i = 0; i < listeners_.size(); ++i) {
    const RouteListener& listener = listeners_[i];
    const bool fits = listener.port == request.port && listener.tls == request.tls &&
                      hostname_matches(listener.hostname, request.host);
    if (!fits) continue;
    if (best == listeners_.size() ||
        is_more_specific_hostname(listener.hostname, listeners_[best].hostname)) {
      best = i;
    }
  }
  return best;
}

RouteTable::Found RouteTable::find(const RouteRequest& request) const {
  const size_t listener = listener_of(request);
  if (listener == listeners_.size()) return {};
  Found found{&listeners_[listener], nullptr};
  indexes_[listener]->visit(request, [&](const RouteEntry& entry) {
    found.entry = &entry;
    return true;
  });
  return found;
}

std::vector<const RouteEntry*> RouteTable::find_all(const RouteRequest& request) const {
  std::vector<const RouteEntry*> all;
  const size_t listener = listener_of(request);
  if (listener == listeners_.size()) return all;
  indexes_[listener]->visit(request, [&](const RouteEntry& entry) {
    all.push_back(&entry);
    return false;
  });
  return all;
}

}  // namespace kvasir
