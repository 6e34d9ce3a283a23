// Finds the plugins that a FlowControlConfig names. Private to scheduling/.
#pragma once

#include "scheduling/flow_plugins.h"
#include "scheduling/plugin_maker.h"

namespace kvasir {

struct FoundFlowPlugins {
  FlowPlugins plugins = {};
  const SaturationDetector* detector = nullptr;  // null: nobody asked for one
};

// While flow control is not enabled, only the detector. A plugin that is not configured is made
// when its name is that of a type. The maker is told of what cannot be found.
FoundFlowPlugins find_flow_plugins(PluginMaker& maker, const Registry& registry,
                                   const SchedulingConfig& config);

}  // namespace kvasir
