// The flag --engine-profile, which five programs have.
#pragma once

#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace kvasir {

// `what` the profile is for; its help lists the built-in ones.
CLI::Option* add_engine_profile_flag(CLI::App& command, std::string& profile,
                                     const std::string& what);

}  // namespace kvasir
