// Reads a scenario file, strictly: an unknown key, or a value of the wrong kind, is an error with
// its line.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/remark.h"
#include "scenario.h"

namespace kvasir {

// The scenario, or everything that is wrong with the file. `folder`: what config_file is relative
// to.
std::variant<Scenario, std::vector<Remark>> read_scenario(std::string_view text,
                                                          const std::string& folder);

}  // namespace kvasir
