// For tests and benchmarks: the policy that `--policy NAME` makes.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "config/compile.h"
#include "plugins/plugin_roster.h"
#include "scheduling/policy.h"

namespace kvasir {

inline Checked<PolicyWithNotes> make_preset(std::string_view policy, const PluginOptions& options,
                                            const PresetOptions& preset = {}) {
  const Registry registry = plugin_registry({}).value();
  const Result<PoolConfig> config = compile_preset(policy, preset, registry, {options});
  if (!config) return config.error();
  return make_configured_policy(registry, config->scheduling, options);
}

inline std::unique_ptr<Policy> preset_policy(std::string_view policy, size_t endpoints,
                                             const EngineProfile& profile = {}, uint64_t seed = 0) {
  PluginOptions options;
  options.endpoints = endpoints;
  options.profile = profile;
  options.seed = seed;
  return std::move(make_preset(policy, options).value().policy);
}

}  // namespace kvasir
