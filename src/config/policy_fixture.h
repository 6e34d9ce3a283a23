// For tests and benchmarks: the policy that a configuration makes, as a Pool makes it.
#pragma once

#include <string_view>
#include <utility>

#include "config/compile.h"
#include "plugins/plugin_roster.h"

namespace kvasir {

inline Result<PolicyWithNotes> policy_from_config(std::string_view text, std::string_view name,
                                                  const PluginOptions& options,
                                                  const Registry& registry) {
  const Result<PoolConfig> config = compile(text, name, registry, {options});
  if (!config) return config.error();
  Checked<PolicyWithNotes> made = make_configured_policy(registry, config->scheduling, options);
  if (!made) return made.error();
  return std::move(*made);
}

// Of the types that a program has with options.plugin_files.
inline Result<PolicyWithNotes> policy_from_config(std::string_view text, std::string_view name,
                                                  const PluginOptions& options) {
  const Result<Registry> registry = plugin_registry(options.plugin_files);
  if (!registry) return registry.error();
  return policy_from_config(text, name, options, *registry);
}

}  // namespace kvasir
