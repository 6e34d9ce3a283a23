// The rules of one HTTPRoute with everything that they refer to looked up. Private to routes/.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kube/object_store.h"
#include "routes/route_rule.h"

namespace kvasir {

// The first reference of a rule that leads nowhere.
struct Unresolved {
  std::string reason;  // by the condition ResolvedRefs; empty: there is none
  std::string message;
};

struct ResolvedRule {
  std::shared_ptr<const RouteRule> rule;
  std::vector<HTTPRoute::Match> matches;  // those that can be tried
  Unresolved unresolved;
};

std::vector<ResolvedRule> resolve_rules(const ObjectStore& store, const HTTPRoute& route);

}  // namespace kvasir
