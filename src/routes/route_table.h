// Which rule of which HTTPRoute a request is for: the Gateway API's matches and their precedence,
// compiled once for a set of objects and never changed.
//
// The listener is found first, by port and host name; requests never reach the routes of another
// (the API calls it listener isolation). Among its routes those with the more specific host name
// come first, then exact paths, regular expressions (the longer first; the API leaves their place
// open), prefixes (the longer first), matches with a method, with more headers, with more query
// parameters, the older route, the route whose NAMESPACE/NAME comes first, the first rule, the
// first match. A request that no rule of the more specific host name matches goes on to the next.
//
// Any number of threads may match at once. Finding a rule costs a few hash lookups, whatever the
// number of routes, and allocates only for what a regular expression or a repeated field is held
// against.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/http/http_head.h"
#include "routes/route_rule.h"

namespace kvasir {

struct RouteRequest {
  uint16_t port = 0;       // the listener's
  bool tls = false;        // how the request came
  std::string_view host;   // lower case, without port
  std::string_view path;   // in normal form (net/http/http_path.h)
  std::string_view query;  // without '?'
  const HttpHead& head;    // method and fields
};

// What a listener's routes are compiled from.
struct RouteEntry {
  std::string hostname;    // of the route and of the listener: their intersection
  HTTPRoute::Match match;  // names stand once among its headers, and among its query parameters
  std::shared_ptr<const RouteRule> rule;
  int64_t created_seconds = 0;  // of the route
};

// Kinds with a smaller one come first.
int path_rank(HTTPRoute::PathKind kind);

// The precedence of matches of one listener. Of those of one rule neither comes before the other.
bool comes_before(const RouteEntry& a, const RouteEntry& b);

struct RouteListener {
  ObjectKey gateway;
  std::string name;
  uint16_t port = 0;
  bool tls = false;
  std::string hostname;
  std::vector<RouteEntry> entries;  // in any order
};

class RouteTable {
 public:
  struct Found {
    const RouteListener* listener = nullptr;  // null: no listener is for that host
    const RouteEntry* entry = nullptr;        // null: no rule matches
  };

  // The expressions of all matches are such (is_route_regex()).
  explicit RouteTable(std::vector<RouteListener> listeners);
  ~RouteTable();
  RouteTable(const RouteTable&) = delete;
  RouteTable& operator=(const RouteTable&) = delete;

  // Valid as long as the table.
  Found find(const RouteRequest& request) const;
  // All that match, the one that find() gives first; for people who ask why.
  std::vector<const RouteEntry*> find_all(const RouteRequest& request) const;

  const std::vector<RouteListener>& listeners() const { return listeners_; }

 private:
  struct Index;

  // listeners_.size(): none is for that host.
  size_t listener_of(const RouteRequest& request) const;

  const std::vector<RouteListener> listeners_;
  std::vector<std::unique_ptr<const Index>> indexes_;  // of each listener
};

// Whether it is a regular expression as matches have them (RE2's syntax).
bool is_route_regex(const std::string& text);

}  // namespace kvasir
