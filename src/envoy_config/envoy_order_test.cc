// The order of the routes that Envoy gets, against RouteTable: both must send every request to the
// same rule. Envoy's own part is a tiny matcher here: it takes the most specific domain, then the
// first route that matches.
#include <gtest/gtest.h>
#include <re2/re2.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/random.h"
#include "envoy_config/envoy_configuration.h"

namespace kvasir {
namespace {

using Json = nlohmann::json;
using PathKind = HTTPRoute::PathKind;

constexpr uint16_t kPort = 80;
constexpr int kTables = 300;
constexpr int kRequestsEach = 60;

struct AskedHead {
  std::string host, path, query;
  HttpHead head;

  RouteRequest request() const { return {kPort, false, host, path, query, head}; }
};

bool string_holds(const Json& match, const std::string& value) {
  if (match.contains("exact")) return match["exact"] == value;
  return RE2::FullMatch(value, match["safe_regex"]["regex"].get<std::string>());
}

std::string parameter_of(const std::string& query, const std::string& name, bool& found) {
  found = query.rfind(name + "=", 0) == 0;
  return found ? query.substr(name.size() + 1) : "";
}

bool path_holds(const Json& match, const std::string& path) {
  if (match.contains("path")) return match["path"] == path;
  if (match.contains("safe_regex")) return string_holds(match, path);
  if (match.contains("prefix")) return path.rfind(match["prefix"].get<std::string>(), 0) == 0;
  const std::string prefix = match["path_separated_prefix"];
  return path == prefix || path.rfind(prefix + "/", 0) == 0;
}

bool holds(const Json& match, const AskedHead& asked) {
  if (!path_holds(match, asked.path)) return false;
  for (const Json& header : match.value("headers", Json::array())) {
    const std::string name = header["name"];
    const auto value = name == ":method" ? std::optional<std::string_view>(asked.head.method())
                                         : asked.head.find(name);
    if (!value || !string_holds(header["string_match"], std::string(*value))) return false;
  }
  for (const Json& parameter : match.value("query_parameters", Json::array())) {
    bool found = false;
    const std::string value = parameter_of(asked.query, parameter["name"], found);
    if (!found || !string_holds(parameter["string_match"], value)) return false;
  }
  return true;
}

// By Envoy's rules: the name, then wildcards by their length, then "*".
const Json& virtual_host_of(const Json& hosts, const std::string& host) {
  const Json* best = nullptr;
  size_t best_length = 0;
  for (const Json& one : hosts) {
    const std::string domain = one["domains"][0];
    if (domain == host) return one;
    const std::string end = domain.substr(1);
    const bool fits = domain == "*" || (domain[0] == '*' && host.size() > end.size() &&
                                        host.substr(host.size() - end.size()) == end);
    if (!fits || (best != nullptr && domain.size() <= best_length)) continue;
    best = &one;
    best_length = domain.size();
  }
  return *best;
}

// The rule's name; empty: 404.
std::string envoy_rule(const Json& config, const AskedHead& asked) {
  for (const Json& route : virtual_host_of(config["virtual_hosts"], asked.host)["routes"]) {
    if (!holds(route["match"], asked)) continue;
    return route.value("name", "");
  }
  return "no route at all";
}

class RandomRoutes {
 public:
  explicit RandomRoutes(uint64_t seed) : random_(seed) {}

  std::vector<RouteListener> listeners() {
    std::vector<RouteListener> made;
    std::set<std::string> names;
    for (size_t i = 0; i < 1 + below(3); ++i) names.insert(one_of(kNames));
    for (const std::string& name : names) {
      RouteListener listener;
      listener.gateway = {"ns", "gw"};
      listener.name = "listener" + std::to_string(made.size());
      listener.port = kPort;
      listener.hostname = name;
      for (size_t i = 0; i < 1 + below(12); ++i) listener.entries.push_back(entry(name));
      made.push_back(std::move(listener));
    }
    return made;
  }

  AskedHead asked() {
    AskedHead asked;
    asked.host = one_of({"a.test", "b.a.test", "c.b.a.test", "test", "b.test", "other"});
    asked.path = one_of({"/", "/a", "/a/", "/ab", "/a/b", "/a/b/c", "/a/bc", "/v1/x", "/v2/x"});
    if (below(2) == 0) asked.query = one_of({"q=1", "q=2", "q=a%20b", "q=a+b", "p=1", "q"});
    asked.head.set_request_line(one_of({"GET", "POST"}), asked.path, 1);
    if (below(2) == 0) asked.head.add_field("x-a", one_of({"1", "2", "12"}));
    if (below(2) == 0) asked.head.add_field("x-b", one_of({"1", "2"}));
    return asked;
  }

 private:
  static inline const std::vector<std::string> kNames = {"",       "*.test",   "*.a.test",
                                                         "a.test", "b.a.test", "*.b.a.test"};

  size_t below(size_t most) { return random_.next() % most; }
  std::string one_of(const std::vector<std::string>& from) { return from[below(from.size())]; }

  RouteEntry entry(const std::string& listener) {
    RouteEntry made;
    do {
      made.hostname = one_of(kNames);
    } while (!hostname_fits(made.hostname, listener));
    HTTPRoute::Match& match = made.match;
    match.path_kind = static_cast<PathKind>(below(3));
    match.path = match.path_kind == PathKind::kRegex
                     ? one_of({"/v[0-9]/x", "/a.*", "/a/[bc]", "/.*"})
                     : one_of({"/", "/a", "/a/", "/a/b", "/a/b/", "/ab", "/v1"});
    if (below(3) == 0) match.method = one_of({"GET", "POST"});
    if (below(3) == 0) match.headers.push_back({"x-a", one_of({"1", "2", "1.*"}), below(2) == 0});
    if (below(3) == 0) match.headers.push_back({"x-b", one_of({"1", "2"}), false});
    if (below(4) == 0) match.query.push_back({"q", one_of({"1", "2", "a b"}), false});
    auto rule = std::make_shared<RouteRule>();
    rule->route = {one_of({"ns", "other"}), one_of({"r", "s"})};
    rule->index = number_++;
    made.created_seconds = static_cast<int64_t>(below(2));
    made.rule = std::move(rule);
    return made;
  }

  // A route's names are some of its listener's.
  static bool hostname_fits(const std::string& name, const std::string& listener) {
    if (listener.empty() || name == listener) return true;
    const std::string end = listener.substr(1);
    return listener[0] == '*' && name.size() > end.size() &&
           name.substr(name.size() - end.size()) == end;
  }

  Random random_;
  size_t number_ = 0;
};

Json route_configuration(const std::vector<RouteListener>& listeners) {
  EffectiveRoutes routes;
  routes.table = std::make_shared<const RouteTable>(listeners);
  EnvoyOptions options;
  options.folder = "/envoy";
  const EnvoyConfiguration made = envoy_configuration(routes, ObjectStore(), options);
  for (const EnvoyConfiguration::File& file : made.others) {
    if (file.name == "routes/port-80.json") return Json::parse(file.text)["resources"][0];
  }
  return {};
}

TEST(EnvoyOrder, RandomRequestsComeToTheRuleThatTheTableFinds) {
  for (uint64_t seed = 1; seed <= kTables; ++seed) {
    RandomRoutes random(seed);
    const std::vector<RouteListener> listeners = random.listeners();
    const Json config = route_configuration(listeners);
    const RouteTable table(listeners);
    for (int i = 0; i < kRequestsEach; ++i) {
      const AskedHead asked = random.asked();
      const RouteTable::Found found = table.find(asked.request());
      const std::string wanted = found.entry != nullptr ? to_string(*found.entry->rule) : "";
      ASSERT_EQ(envoy_rule(config, asked), wanted)
          << "seed " << seed << ": " << asked.head.method() << " " << asked.host << asked.path
          << "?" << asked.query << "\n"
          << config.dump(1);
    }
  }
}

}  // namespace
}  // namespace kvasir
