// For the tests and benchmarks of policies: a healthy fleet and requests to pick for.
#pragma once

#include <vector>

#include "fleet/fleet.h"
#include "scheduling/policy.h"

namespace kvasir {

struct FakeFleet {
  explicit FakeFleet(uint32_t endpoints) : snapshot{std::vector<EndpointState>(endpoints), 0} {
    for (uint32_t i = 0; i < endpoints; ++i) {
      snapshot.endpoints[i].present = snapshot.endpoints[i].healthy = true;
      candidates.push_back(EndpointId(i));
    }
  }

  Decision pick(Policy& policy, const Request& request, TimePoint now = {}) const {
    return policy.pick(PickContext{request, snapshot, candidates, now}).value();
  }

  Snapshot snapshot;
  std::vector<EndpointId> candidates;
};

inline Request streamed_request(RequestId id, uint32_t prompt_tokens = 100) {
  Request request;
  request.id = id;
  request.prompt_tokens = prompt_tokens;
  request.first_token_visible = true;
  return request;
}

}  // namespace kvasir
