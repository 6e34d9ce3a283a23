// From the text of an EndpointPickerConfig to everything that it describes. `kvasir epp`, `kvasir
// gateway` and `kvasir config check` all ask make_configuration(), and so have the same verdict in
// the same words.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/compile.h"
#include "scheduling/plugin_set.h"
#include "serving/admission.h"

namespace kvasir {

// Ready to run. The notes of `policy` say how the whole file was understood.
struct Configuration {
  PolicyWithNotes policy;
  RequestParsers parsers;
  ScrapePlan scrape_plan;
  DiscoveryFile discovery;
  AdmissionSettings admission;  // its plugins live as long as the policy
  bool says_something = false;
  size_t plugins_named = 0;
};

// `name` names the file in errors. All are told, one a line with its line of the file, up to
// kConfigErrorsMost; the rest are counted. What is not built is an error, never ignored. The types are those of `registry`, whatever options.plugin_files says.
Result<Configuration> make_configuration(const ConfigReading& reading, std::string_view name,
                                         const PluginOptions& options, Duration refresh_interval,
                                         const Registry& registry);
Result<Configuration> make_configuration(PoolConfig compiled, const PluginOptions& options,
                                         const Registry& registry);
Result<Configuration> make_configuration(std::string_view text, std::string_view name,
                                         const PluginOptions& options, Duration refresh_interval);

// The policy alone.
Result<PolicyWithNotes> policy_from_config(std::string_view text, std::string_view name,
                                           const PluginOptions& options);
Result<PolicyWithNotes> policy_from_config(std::string_view text, std::string_view name,
                                           const PluginOptions& options, const Registry& registry);

// Where the configuration says that the endpoints are. Nothing else of it is made when that can be
// read; when it cannot, the error is make_configuration()'s.
Result<DiscoveryFile> discovery_from_config(std::string_view text, std::string_view name,
                                            const PluginOptions& options);

// How requests are admitted under it: by flow control when its gate is on, else sheddable ones are
// refused while its detector says that the pool is saturated, unless nobody is to be refused.
AdmissionSettings admission_settings(const PolicyWithNotes& made, bool sheds);

}  // namespace kvasir
