// What a filter by labels says when it leaves nobody.
#pragma once

#include <algorithm>
#include <string>

#include "fleet/fleet.h"
#include "scheduling/cycle.h"

namespace kvasir {

// "no endpoint carries the label KEY", or nothing when one of the candidates does.
inline std::string absent_label(const Cycle& cycle, const std::string& key) {
  const bool carried =
      std::any_of(cycle.candidates.begin(), cycle.candidates.end(), [&](EndpointId id) {
        return cycle.fleet.endpoints[index_of(id)].endpoint->label(key) != nullptr;
      });
  return carried ? "" : "no endpoint carries the label " + key;
}

}  // namespace kvasir
