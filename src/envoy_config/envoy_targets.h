// What URLRewrite and RequestRedirect make of a request's target, in Envoy's words: the same as
// routes/route_actions.h. Private to envoy_config/.
#pragma once

#include <vector>

#include "envoy_config/envoy_json.h"
#include "envoy_config/virtual_hosts.h"

namespace kvasir {

// As modified_path() does it. `whole`: the field of `action` that replaces a whole path; null:
// there is none.
void modify_path(const PathModifier& modifier, const HTTPRoute::Match& match, const char* whole,
                 EnvoyJson& action);

// As redirect_location() does it. `route`: its match and all but the redirect.
std::vector<EnvoyJson> redirecting_routes(const HTTPRoute::Redirect& redirect,
                                          const HTTPRoute::Match& match, const VirtualHost& host,
                                          const EnvoyJson& route);

}  // namespace kvasir
