// What the filters of a rule make of a request's target.
#pragma once

#include <string>
#include <string_view>

#include "routes/route_table.h"

namespace kvasir {

// A prefix and the path that it stands for are one with their last slash and without it; of "/"
// nothing is left.
std::string_view without_last_slash(std::string_view path);

// The path that a modifier makes of a request's; the match is the one that the request was found
// by.
std::string modified_path(const PathModifier& modifier, const HTTPRoute::Match& match,
                          std::string_view path);

// The Location of a redirect. It names no port where its scheme has it anyway.
std::string redirect_location(const HTTPRoute::Redirect& redirect, const RouteRequest& request,
                              const HTTPRoute::Match& match);

// Path and query as the backend gets them.
std::string rewritten_target(const HTTPRoute::Rewrite& rewrite, const RouteRequest& request,
                             const HTTPRoute::Match& match);

}  // namespace kvasir
