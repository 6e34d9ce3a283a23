// From the text of an EndpointPickerConfig, or the name of a preset, to a PoolConfig. All programs
// and `kvasir config check` ask here, and so have the same verdict in the same words. A text is read
// once; nobody else fills in a default.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "config/config_reading.h"
#include "config/pool_config.h"
#include "scheduling/plugin_set.h"
#include "scheduling/registry.h"

namespace kvasir {

struct CompileOptions {
  // What plugins are made with: they are made once, to see that they can be, and thrown away.
  PluginOptions plugins = {};
  // How often metrics are read where the configuration does not say.
  Duration refresh_interval = kRefreshIntervalLeast;
};

// `name` names the file in errors and notes. The error has every problem, one a line as
// "NAME:LINE: TEXT" (of plugins "NAME: line LINE: TEXT"), in the order of the lines, up to
// kConfigErrorsMost; the rest are counted. What is not built is an error, never ignored.
// `registry`: the types there are (plugins/plugin_roster.h).
Result<PoolConfig> compile(std::string_view text, std::string_view name, const Registry& registry,
                           const CompileOptions& options);

// The same for a text that was read already.
Result<PoolConfig> compile(const ConfigReading& reading, std::string_view name,
                           const Registry& registry, const CompileOptions& options);

// What flags say of a named policy.
struct PresetOptions {
  bool hold = false;  // requests wait while every endpoint has work ahead of it
  Duration held_most = std::chrono::seconds(60);
};

// A named policy: `--policy NAME` (config/presets.h). Errors name the flag.
Result<PoolConfig> compile_preset(std::string_view policy, const PresetOptions& preset,
                                  const Registry& registry, const CompileOptions& options);

// What to log when flags say where the endpoints are although the configuration does, too.
std::string discovery_note(std::string_view name, const DiscoveryFile& discovery);

// What is told at the start when a file is used that says nothing: as by upstream, with the
// defaults. And later, when it is not, after one that said something.
std::string empty_configuration_note(std::string_view name);
std::string empty_configuration_refusal(std::string_view name);

}  // namespace kvasir
