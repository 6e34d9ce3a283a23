// What the filters of rules and backends become: settings of Envoy's HTTP filters for one route, by
// the filters' names. Private to envoy_config/.
#pragma once

#include <string>

#include "envoy_config/envoy_json.h"
#include "wire/kube/kube_gateway_objects.h"

namespace kvasir {

// The filters that every listener has, in the order in which requests pass them. What they do is
// said for each route; without that, nothing.
EnvoyJson http_filters();

// Header modifiers, and CORS. Empty: none.
EnvoyJson filter_settings(const HTTPRoute::Filters& filters);
// Adds that the pool's picker is asked. Precondition: it has one.
void ask_picker(const InferencePool& pool, EnvoyJson& settings);

}  // namespace kvasir
