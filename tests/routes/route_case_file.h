// A file of cases: what a set of Gateway API objects does with requests, and what is said of it.
// README.md beside this file has the keys.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/remark.h"
#include "base/result.h"
#include "wire/kube/kube_manifest.h"

namespace kvasir {

struct RouteCase {
  int line = 0;
  std::string method = "GET";
  std::string url;  // http://HOST[:PORT]/PATH?QUERY; https: over TLS
  std::vector<std::pair<std::string, std::string>> headers;
  // Either what the answer is, or where the request goes.
  int status = 0;               // 0: it is sent on
  std::vector<std::string> to;  // "NAMESPACE/NAME:PORT" or "NAMESPACE/POOL", each that has a weight
  std::string rule;             // "NAMESPACE/ROUTE INDEX"; empty: not looked at
  std::string location;         // of a redirect
  std::string sent_path;        // path and query as the backend gets them; empty: not looked at
  std::string sent_host;        // the same for the Host field
};

// A condition that must be said: "True Accepted".
struct ConditionCase {
  int line = 0;
  std::string object;  // "Gateway NAMESPACE/NAME", "Listener NAMESPACE/NAME/LISTENER",
                       // "HTTPRoute NAMESPACE/NAME" or "HTTPRoute NAMESPACE/NAME parent 1"
  std::string type;
  std::string says;  // "STATUS REASON"; "none": there is no such condition, or no such object
  std::string message_has;
};

struct RouteCaseFile {
  std::string about;
  std::vector<ManifestObject> objects;
  std::vector<RouteCase> requests;
  std::vector<ConditionCase> conditions;
  std::vector<std::pair<std::string, int64_t>> attached;  // "NAMESPACE/GATEWAY/LISTENER": routes
};

// An Error has every problem, "FILE:LINE: TEXT" each.
Result<RouteCaseFile> read_route_cases(const std::string& path);

}  // namespace kvasir
