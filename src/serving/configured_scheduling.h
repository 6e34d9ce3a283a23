// From the text of an EndpointPickerConfig to the policy that it describes.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "scheduling/plugin_set.h"
#include "serving/admission.h"

namespace kvasir {

// The built-in plugin types and those of shared objects.
Result<Registry> plugin_registry(const std::vector<std::string>& plugin_files);

// `name` names the file in errors: all of them, one a line. Parts of a configuration that are not built yet (data
// sources of one's own) are errors, never ignored. The notes say how the file was understood.
Result<PolicyWithNotes> policy_from_config(std::string_view text, std::string_view name,
                                           const PluginOptions& options);

// The same with the types of that registry, whatever options.plugin_files says.
Result<PolicyWithNotes> policy_from_config(std::string_view text, std::string_view name,
                                           const PluginOptions& options, const Registry& registry);

// How requests are admitted under it: by flow control when its gate is on, else sheddable ones are refused while its
// detector says that the pool is saturated.
AdmissionSettings admission_settings(const PolicyWithNotes& made);

}  // namespace kvasir
