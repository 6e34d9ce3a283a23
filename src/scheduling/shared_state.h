// What a policy tells the other replicas of its picker, and hears from them. Endpoints are this
// process's; whoever carries the state translates them into names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/endpoint.h"

namespace kvasir {

struct SharedLoad {
  EndpointId endpoint{};
  uint32_t requests = 0;
  uint64_t tokens = 0;
  bool operator==(const SharedLoad&) const = default;
};

// The session (a hash) was last sent to that endpoint, `age` ago.
struct SharedBinding {
  uint64_t session = 0;
  EndpointId endpoint{};
  Duration age{};
};

// Of one plugin.
struct SharedPart {
  std::string plugin;  // its name in the configuration
  // Going out: all that this process has in flight, endpoints that have nothing left out. Coming
  // in: the sum over all other replicas.
  std::vector<SharedLoad> loads;
  // Some of the sessions that are bound.
  std::vector<SharedBinding> bindings;
  // Going out: every session that is bound was handed out since this was said last.
  bool went_round = true;
};

using SharedState = std::vector<SharedPart>;

// How much is to go out, of each plugin.
struct SharedExport {
  size_t new_bindings_max = 0;    // sessions bound since the last time
  size_t known_bindings_max = 0;  // others, in turn
};

}  // namespace kvasir
