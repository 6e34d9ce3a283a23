// The list of the built-in policies.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "scheduling/policy.h"
#include "timing/engine_profile.h"

namespace kvasir {

struct PolicyOptions {
  size_t endpoints = 0;
  // What the cost policies predict with; the learned scale corrects it.
  EngineProfile profile;
  uint64_t seed = 0;
  Duration hold_threshold = kHoldThreshold;  // of the cost policies' saturation
};

// round-robin, random, least-load, load-cost, kv.
std::span<const std::string_view> policy_names();

// The error names the policies there are.
Result<std::unique_ptr<Policy>> make_policy(std::string_view name, const PolicyOptions& options);

}  // namespace kvasir
