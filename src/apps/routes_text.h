// What `kvasir routes` and `kvasir routes test` print.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/http/http_head.h"
#include "routes/effective_routes.h"

namespace kvasir {

// The matches of each listener in the order in which they are tried, and the conditions of all
// objects; those that hold are one line.
std::string routes_text(const EffectiveRoutes& routes);

// What does not hold, a line each: "HTTPRoute ns/r at Gateway ns/gw: ResolvedRefs False ...".
std::vector<std::string> broken_conditions(const EffectiveRoutes& routes);

// A request as `kvasir routes test` gets it.
struct AskedRequest {
  bool tls = false;
  uint16_t port = 0;
  std::string host;
  std::string path;
  std::string query;
  HttpHead head;
};

// `url`: http://HOST[:PORT]/PATH[?QUERY], or https. `headers`: "NAME: VALUE" each. An Error says
// what is wrong.
Result<AskedRequest> asked_request(std::string_view method, std::string_view url,
                                   const std::vector<std::string>& headers);

// Which rule wins, why it comes before the others that match, and what it does with the request.
std::string routes_answer_text(const EffectiveRoutes& routes, const AskedRequest& request);

}  // namespace kvasir
