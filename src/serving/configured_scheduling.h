// From the text of an EndpointPickerConfig to the policy that it describes.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "feeds/scrape_plan.h"
#include "scheduling/plugin_set.h"

namespace kvasir {

// `name` names the file in errors: all of them, one a line. Parts of a configuration that are not built yet (flow
// control, data sources of one's own) are errors, never ignored. The notes say how the file was understood.
Result<PolicyWithNotes> policy_from_config(std::string_view text, std::string_view name,
                                           const PluginOptions& options);

// From the same text, what to scrape for it.
Result<ScrapePlan> scrape_plan_from_config(std::string_view text, std::string_view name,
                                           Duration refresh_interval);

}  // namespace kvasir
