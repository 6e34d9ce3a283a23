// What the configuration must know of a plugin type: which places it can fill. The caller passes
// the table, so that the types are those of the program that will run the configuration.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace kvasir {

// Bits: one type may fill several places.
enum PluginPlace : uint32_t {
  kFilterPlace = 1,
  kScorerPlace = 2,
  kPickerPlace = 4,
  kProfileHandlerPlace = 8,
  kProducerPlace = 16,     // of per-request data
  kDataLayerPlace = 32,    // sources, extractors, discovery
  kFlowControlPlace = 64,  // fairness, ordering, limits, saturation, eviction
  kParserPlace = 128,
  kOtherPlace =
      256,  // deciders, admission, reporting: used by being configured, or by another plugin's name
};

struct PluginTypeFacts {
  std::string_view name;
  uint32_t places = 0;
  bool deprecated = false;
  std::string_view replaced_by{};  // of a deprecated type; may be empty
};

// Null when there is no such type.
const PluginTypeFacts* find_plugin_type(std::span<const PluginTypeFacts> types,
                                        std::string_view name);

// STAND-IN until the registry is filled: the type names of llm-d's endpoint picker and the seed's
// own ones.
std::span<const PluginTypeFacts> upstream_plugin_types();

}  // namespace kvasir
