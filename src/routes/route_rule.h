// What is done with the requests of one rule of a HTTPRoute.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "routes/cors.h"
#include "wire/kube/kube_gateway_objects.h"

namespace kvasir {

// Where requests of a rule may go.
struct RouteTarget {
  enum class Kind : uint8_t { kService, kPool };
  Kind kind = Kind::kService;
  ObjectKey object;
  uint16_t port = 0;  // of kService
  bool h2c = false;   // by appProtocol

  auto operator<=>(const RouteTarget&) const = default;
};

struct RouteBackend {
  std::optional<RouteTarget> target;  // none: what is referred to is not there or not permitted
  std::string problem;                // then: what clients are told with the 500
  uint32_t weight = 1;
  HTTPRoute::Filters filters;
};

struct RouteRule {
  ObjectKey route;
  size_t index = 0;  // among the route's rules
  std::string name;  // of the rule; may be empty
  // Not empty: the rule cannot be carried out, and its requests are refused with 500.
  std::string problem;
  HTTPRoute::Filters filters;
  std::optional<CorsPolicy> cors;  // of filters.cors
  // Of filters.mirrors, in the same order.
  std::vector<RouteBackend> mirrors;
  std::vector<RouteBackend> backends;
  uint64_t weights = 0;  // of all backends
  std::optional<Duration> request_timeout;  // never zero, as the next one
  std::optional<Duration> backend_timeout;
  std::optional<HTTPRoute::Retry> retry;

  // `random`: evenly spread. Null: no backend has a weight.
  const RouteBackend* pick(uint64_t random) const;
};

// "NAMESPACE/NAME rule 0", with the rule's name if it has one.
std::string to_string(const RouteRule& rule);

}  // namespace kvasir
