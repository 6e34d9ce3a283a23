#include "apps/engine_profile_flag.h"

#include <CLI/CLI.hpp>

#include "timing/engine_profile.h"

namespace kvasir {

CLI::Option* add_engine_profile_flag(CLI::App& command, std::string& profile,
                                     const std::string& what) {
  std::string help = what + ": a JSON file or one of";
  for (const std::string& name : builtin_engine_profiles()) {
    help += "\n" + name;
    if (name == kDefaultEngineProfile) help += " (default)";
  }
  return command.add_option("--engine-profile", profile, help);
}

}  // namespace kvasir
