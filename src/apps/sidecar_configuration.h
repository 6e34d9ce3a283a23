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

struct ConfiguredWords {
  struct Place {
    std::string flag;   // as the parser names it: "--port"
    std::string where;  // "--configuration-file sidecar.yaml: line 2: "
  };
  std::vector<std::string> words;
  std::vector<Place> places;  // of the words that do not come from the command line
};

// `arguments` of `command` with these two flags replaced by what they hold; what the command line
// itself says wins. Strict: a key that is no flag is an error, and so are both flags together.
Result<ConfiguredWords> with_configuration(const CLI::App& command,
                                           const std::vector<std::string>& arguments);

// What the parser says of a flag, with the place where the configuration holds it. "": it does not.
std::string configuration_error(const ConfiguredWords& configured, const std::string& message);

}  // namespace kvasir
