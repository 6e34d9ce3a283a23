// A match of a HTTPRoute as Envoy's RouteMatch. Private to envoy_config/.
#pragma once

#include "envoy_config/envoy_json.h"
#include "wire/kube/kube_gateway_objects.h"

namespace kvasir {

EnvoyJson route_match(const HTTPRoute::Match& match);

// A regular expression that holds for that text alone, as RE2 reads it.
std::string literal_regex(std::string_view text);

}  // namespace kvasir
