// Routes in words: for `kvasir routes`, logs and errors.
#pragma once

#include <string>

#include "routes/effective_routes.h"

namespace kvasir {

// "PathPrefix /v1, POST, x-a: 1, ?q=1".
std::string describe_match(const HTTPRoute::Match& match);

// "Service ns/web:80", "InferencePool ns/pool"; of several with their weights.
std::string describe_backends(const RouteRule& rule);

// The first of the API's criteria that puts `first` before `second`, both of one listener and one
// request: "it has more header matches (2 against 1)".
std::string describe_precedence(const RouteEntry& first, const RouteEntry& second);

}  // namespace kvasir
