#include "apps/header_route_flag.h"

#include <algorithm>

#include "base/text.h"
#include "net/http/hop_fields.h"
#include "net/http/http1_grammar.h"
#include "net/io/flag_address.h"

namespace kvasir {
namespace {

// What belongs to one connection, or is written anew, says nothing about where a request belongs.
constexpr std::string_view kNoRoutes[] = {"host", "connection", "content-length",
                                          "transfer-encoding", "expect"};

Result<HeaderRoute> read_header_route(const std::string& text) {
  const auto error = [&text](const std::string& why) {
    return Error{"--header-route: '" + text + "' " + why +
                 "; write NAME=VALUE=URL, as in x-kv-backend=nvlink=http://127.0.0.1:9001"};
  };
  const size_t name_end = text.find('=');
  const size_t value_end = text.find("=http", std::min(name_end, text.size() - 1) + 1);
  if (name_end == std::string::npos || value_end == std::string::npos) {
    return error("is not NAME=VALUE=URL");
  }
  HeaderRoute route;
  route.header = lower_case(text.substr(0, name_end));
  route.value = trimmed(text.substr(name_end + 1, value_end - name_end - 1));
  if (!is_token(route.header)) return error("does not begin with the name of a header");
  if (reads_as_any(route.header, kNoRoutes)) return error("is of a header that can name no route");
  if (route.value.empty()) return error("has no value");
  Result<HostPort> to = parse_http_origin(text.substr(value_end + 1));
  if (!to) return error("ends with no URL of a worker: " + to.error().message);
  route.to = std::move(*to);
  return route;
}

}  // namespace

Result<std::vector<HeaderRoute>> read_header_routes(const std::vector<std::string>& texts) {
  std::vector<HeaderRoute> routes;
  for (const std::string& text : texts) {
    Result<HeaderRoute> route = read_header_route(text);
    if (!route) return route.error();
    const auto is_it = [&route](const HeaderRoute& known) {
      return known.header == route->header && known.value == route->value;
    };
    if (std::any_of(routes.begin(), routes.end(), is_it)) {
      return Error{"--header-route: " + route->header + "=" + route->value + " is named twice"};
    }
    routes.push_back(std::move(*route));
  }
  return routes;
}

}  // namespace kvasir
