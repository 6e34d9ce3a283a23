// Whose request it is and how important: from the headers that upstream defines.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "model/request.h"

namespace kvasir {

struct RequestClass {
  std::string fairness_id = "default-flow";
  int32_t priority = 0;
  std::string objective = {};  // as it was written
};

// Of InferenceObjectives, by name.
using PriorityByObjective = std::map<std::string, int32_t, std::less<>>;
// Priority of an InferenceObjective; nullopt: there is none of that name.
using PriorityOfObjective = std::function<std::optional<int32_t>(std::string_view objective)>;

// x-llm-d-inference-fairness-id and x-llm-d-inference-objective, or their x-gateway-... aliases
// when they are absent. No or an unknown objective: priority 0.
RequestClass request_class(std::span<const RequestHeader> headers,
                           const PriorityOfObjective& priority_of);

}  // namespace kvasir
