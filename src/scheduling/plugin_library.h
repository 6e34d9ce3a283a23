// Plugin types from outside this source tree: a shared object that adds its own to a Registry.
//
// It is C++ on both sides, so it is built against this program's headers and with a standard
// library like its own. The version and the layout below say whether that is so, and a library that
// differs is refused before any of its code is called. It is loaded for the life of the process,
// since plugins that it made live as long.
//
// One source file of the library says what it adds:
//
//   void add_types(kvasir::PluginEntry& entry) { entry.add(zone_preference()); }
//   KVASIR_PLUGIN_LIBRARY(add_types)
//
// Each type says its places (PluginType::places): where a configuration may name it. A library may
// add data sources and extractors as well, for dataLayer.sources. examples/plugin has one of each.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "fleet/fleet.h"
#include "model/plugin_place.h"
#include "scheduling/registry.h"
#include "timing/engine_profile.h"

namespace kvasir {

// Raised by every change of what a plugin sees: this header, registry.h, plugin.h, cycle.h,
// producers.h, pool_knowledge.h, wanted_knowledge.h, kvindex/prefix_index.h, and the values of
// model, base and fleet in them.
inline constexpr uint32_t kPluginAbiVersion = 8;

// The sizes of those values, mixed: tells what was changed without raising the version.
template <class... Values>
constexpr uint64_t mixed_sizes() {
  uint64_t mixed = 0;
  ((mixed = mixed * 1'000'003 + sizeof(Values)), ...);
  return mixed;
}
inline constexpr uint64_t kPluginLayout =
    mixed_sizes<Value, MadePlugin, PluginType, DataSourceType, ExtractorType, Cycle, Request,
                PromptView, PrefixIndexOptions, SharedPrefixIndex, ScoredEndpoint, ProfileResult,
                Endpoint, EngineMetrics, EndpointState, Snapshot, EngineProfile, InflightLoad>();

struct PluginAbi {
  uint32_t version = kPluginAbiVersion;
  uint64_t layout = kPluginLayout;
};

// What a library hands over.
struct PluginEntry {
  void add(PluginType type) { types.push_back(std::move(type)); }
  void add(DataSourceType type) { data_sources.push_back(std::move(type)); }
  void add(ExtractorType type) { extractors.push_back(std::move(type)); }

  std::vector<PluginType> types;
  std::vector<DataSourceType> data_sources;
  std::vector<ExtractorType> extractors;
};

// Adds the types of that file, or nothing and says why: it cannot be loaded, it is no plugin
// library, it was built for another version, or one of its types has a name that is taken. Errors
// begin with the file's name. A file without a slash is one of the current folder.
Result<void> load_plugin_library(const std::string& file, Registry& registry);

}  // namespace kvasir

#define KVASIR_PLUGIN_LIBRARY(add_types)                               \
  extern "C" const kvasir::PluginAbi kvasir_plugin_abi;                \
  extern "C" void kvasir_register_plugins(kvasir::PluginEntry* entry); \
  const kvasir::PluginAbi kvasir_plugin_abi;                           \
  void kvasir_register_plugins(kvasir::PluginEntry* entry) {           \
    add_types(*entry);                                                 \
  }
