// What a configuration says about scheduling, as plain data: plugins, and the profiles they work in. Written by whoever
// reads a file (config/endpoint_picker_config.h), read by make_configured_policy() (scheduling/plugin_set.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/value.h"
#include "model/flow_control_config.h"

namespace kvasir {

// Lines are the file's, from 1; 0 when it came from no file.
struct PluginConfig {
  std::string name = {};  // unique; empty: the type's name
  std::string type = {};
  Value parameters = {};  // a map or null
  int line = 0;
  // The type was chosen by whoever translated the file's words: an experimental one needs no leave
  // of the user, who never named it.
  bool translated = false;
};

// A plugin in a scheduling profile. What it is there (filter, scorer, picker) is up to its type.
struct PluginUse {
  std::string plugin = {};              // the name of one of the plugins
  std::optional<double> weight = {};    // of a scorer, finite and at least 0; 1 when absent
  int line = 0;
};

struct SchedulingProfileConfig {
  std::string name = {};
  std::vector<PluginUse> plugins = {};  // in the file's order, which is the order of the filters
  int line = 0;
};

struct SchedulingConfig {
  std::vector<PluginConfig> plugins = {};
  // None: one profile "default" with every filter, scorer and picker there is.
  std::vector<SchedulingProfileConfig> profiles = {};
  // None: nobody asks how full the pool is. While it is not enabled, only its saturation detector counts.
  std::optional<FlowControlConfig> flow_control = {};
  bool flow_control_enabled = false;
  // Whether a request that says "Prefer: if-available" is refused when nothing of it is cached.
  bool heeds_prefer = true;
};

}  // namespace kvasir
