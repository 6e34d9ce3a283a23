// Makes a ConfiguredPolicy of a SchedulingConfig, with upstream's rules:
//
//   - Plugin names are unique; an unknown type is refused, with the name it was most likely meant
//     to be. An alpha type is refused unless it is allowed, a deprecated one is accepted with a
//     note.
//   - Exactly one profile handler; none: single-profile-handler.
//   - No profile: one named "default" with every filter, scorer and picker there is.
//   - A profile has one picker; none: max-score-picker. A scorer's weight is 1 unless it is given.
//   - Producers that plugins ask for and that are not configured are made with their defaults.
//
// Every problem names the plugin or profile, and has its line when it came from a file. All are
// told.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/checked.h"
#include "base/remark.h"
#include "model/scheduling_config.h"
#include "scheduling/filter_probe.h"
#include "scheduling/flow_plugins.h"
#include "scheduling/policy.h"
#include "scheduling/registry.h"
#include "scheduling/saturation.h"
#include "timing/engine_profile.h"

namespace kvasir {

struct PluginOptions {
  size_t endpoints = 0;  // of the fleet, at most
  uint64_t seed = 0;
  uint32_t endpoints_per_pick = 1;  // of pickers that are not told
  EngineProfile profile = {};
  Duration hold_threshold = kHoldThreshold;  // of plugins that predict waits
  bool allow_alpha = false;
  Duration metrics_half_life{};  // of scores that come from metrics; zero: they do not age
  FilterProbe* filter_probe = nullptr;  // outlives the policy; null: nobody hears
  std::vector<std::string> plugin_files = {};  // shared objects with more types (plugin_library.h)
};

struct PolicyWithNotes {
  std::unique_ptr<Policy> policy;
  std::vector<std::string> notes;  // what an operator should know: deprecated types, what was added
  bool flow_control_enabled = false;
  FlowSettings flow = {};  // when it is; its plugins live as long as the policy
};

Checked<PolicyWithNotes> make_configured_policy(const Registry& registry,
                                                const SchedulingConfig& config,
                                                const PluginOptions& options);

// Of a configuration that cannot be used for other reasons, which its reader has told: what is
// wrong with its plugins beside.
std::vector<Remark> plugin_problems(const Registry& registry, const SchedulingConfig& config,
                                    const PluginOptions& options);

}  // namespace kvasir
