// The engine profiles that are part of the program. CMake makes the .cc from the folder profiles/.
#pragma once

#include <span>
#include <string_view>

namespace kvasir {

struct BuiltinProfile {
  std::string_view name;  // the file's name without .json, and the profile's
  std::string_view json;
};

std::span<const BuiltinProfile> builtin_profiles();

}  // namespace kvasir
