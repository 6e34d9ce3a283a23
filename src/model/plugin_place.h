// The places in a configuration that a plugin type can fill. Bits: one type may fill several.
#pragma once

#include <cstdint>

namespace kvasir {

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

}  // namespace kvasir
