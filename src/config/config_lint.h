// Warnings about a configuration that is correct and probably not what was meant. Only values that
// the file itself writes are judged, never defaults.
#pragma once

#include <span>
#include <vector>

#include "base/remark.h"
#include "config/endpoint_picker_config.h"
#include "config/plugin_types.h"

namespace kvasir {

inline constexpr Duration kShortestSensibleScrape =
    std::chrono::seconds(1);  // of interval and of timeout
inline constexpr Duration kLongestSensibleTtl = std::chrono::seconds(30);  // of a scraped metric

std::vector<Remark> lint_config(const EndpointPickerConfig& config,
                                std::span<const PluginTypeFacts> types);

}  // namespace kvasir
