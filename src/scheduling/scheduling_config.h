// What an EndpointPickerConfig says about scheduling, as plain data: written by whoever reads a
// file, read by make_configured_policy() (scheduling/plugin_set.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/value.h"

namespace kvasir {

// Lines are the file's, from 1; 0 when it came from no file.
struct PluginConfig {
  std::string name = {};  // empty: the type's name
  std::string type;
  Value parameters = {};
  int line = 0;
};

struct ProfilePluginConfig {
  std::string plugin;                       // the name of one of the plugins
  std::optional<double> weight = {};        // of a scorer; 1 when absent
  int line = 0;
};

struct ProfileConfig {
  std::string name;
  std::vector<ProfilePluginConfig> plugins;
  int line = 0;
};

struct SchedulingConfig {
  std::vector<PluginConfig> plugins;
  // None: one profile "default" with every filter, scorer and picker there is.
  std::vector<ProfileConfig> profiles;
};

// What runs when nothing is configured: queue-scorer 2, kv-cache-utilization-scorer 2,
// prefix-cache-scorer 3, single-profile-handler, max-score-picker.
SchedulingConfig default_scheduling_config();

}  // namespace kvasir
