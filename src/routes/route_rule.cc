#include "routes/route_rule.h"

namespace kvasir {

const RouteBackend* RouteRule::pick(uint64_t random) const {
  if (weights == 0) return nullptr;
  uint64_t left = random % weights;
  for (const RouteBackend& backend : backends) {
    if (left < backend.weight) return &backend;
    left -= backend.weight;
  }
  return nullptr;
}

std::string to_string(const RouteRule& rule) {
  std::string text = to_string(rule.route) + " rule " + std::to_string(rule.index);
  if (!rule.name.empty()) text += " (" + rule.name + ")";
  return text;
}

}  // namespace kvasir
