#include "plugins/presets/roster.h"

#include <array>

#include "plugins/presets/least_load_policy.h"
#include "plugins/cost/predicted_cost_policy.h"
#include "plugins/presets/random_policy.h"
#include "plugins/presets/round_robin_policy.h"

namespace kvasir {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"round-robin", "random", "least-load",
                                                    "load-cost", "kv"};

Result<std::unique_ptr<Policy>> predicted_cost(std::string_view name, const PolicyOptions& options,
                                               PrefixKnowledge knowledge) {
  const EngineProfile& profile = options.profile;
  if (profile.max_num_batched_tokens == 0 || profile.step.dense_ms_by_tokens.empty()) {
    std::string message = "policy '";
    message.append(name).append(
        "' predicts times: it needs an engine profile with a token budget ");
    return Error{message.append("(max_num_batched_tokens) and step times")};
  }
  return make_predicted_cost_policy(options.endpoints, profile, knowledge, options.hold_threshold);
}

Error unknown_policy(std::string_view name) {
  std::string message = "unknown policy '";
  message.append(name).append("'; there are:");
  for (const std::string_view known : kNames) message.append(" ").append(known);
  return Error{message};
}

}  // namespace

std::span<const std::string_view> policy_names() {
  return kNames;
}

Result<std::unique_ptr<Policy>> make_policy(std::string_view name, const PolicyOptions& options) {
  if (name == "round-robin") return make_round_robin_policy(options.endpoints);
  if (name == "random") return make_random_policy(options.seed);
  if (name == "least-load") return make_least_load_policy(options.endpoints);
  if (name == "load-cost") return predicted_cost(name, options, PrefixKnowledge::kNone);
  if (name == "kv") return predicted_cost(name, options, PrefixKnowledge::kApproximate);
  return unknown_policy(name);
}

}  // namespace kvasir
