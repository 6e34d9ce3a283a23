// For the tests and benchmarks of pickers: a healthy fleet and requests to pick for.
#pragma once

#include <vector>

#include "fleet/fleet.h"
#include "scheduling/picker.h"

namespace kvasir {

struct FakeFleet {
  explicit FakeFleet(uint32_t endpoints) : snapshot{std::vector<EndpointState>(endpoints)} {
    for (uint32_t i = 0; i < endpoints; ++i) {
      snapshot.endpoints[i].healthy = true;
      candidates.push_back(EndpointId(i));
    }
  }

  Decision pick(Picker& picker, const Request& request, TimePoint now = {}) const {
    return picker.pick(PickContext{request, snapshot, candidates, now});
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
