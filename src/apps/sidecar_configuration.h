// --configuration and --configuration-file of `kvasir sidecar`: its flags written as YAML.
//
//   kv-connector: nixlv2
//   port: 8000
//   enable-prefiller-sampling: true
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace CLI {
class App;
}

namespace kvasir {

// `arguments` of `command` with these two flags replaced by what they hold; what the command line
// itself says wins. Strict: a key that is no flag is an error, and so are both flags together.
Result<std::vector<std::string>> with_configuration(const CLI::App& command,
                                                    const std::vector<std::string>& arguments);

}  // namespace kvasir
