#include "timing/engine_profile.h"

#include <fstream>
#include <sstream>

#include "timing/builtin_profiles.h"

namespace kvasir {
namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

Result<EngineProfile> load_engine_profile(const std::string& name_or_file) {
  for (const BuiltinProfile& profile : builtin_profiles()) {
    if (profile.name == name_or_file) return parse_engine_profile(profile.json, name_or_file);
  }
  std::ifstream file(name_or_file, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return Error{"no engine profile '" + name_or_file +
                 "': neither a file that can be read nor one of " +
                 joined(builtin_engine_profiles())};
  }
  return parse_engine_profile(text.str(), name_or_file);
}

std::vector<std::string> builtin_engine_profiles() {
  std::vector<std::string> names;
  for (const BuiltinProfile& profile : builtin_profiles()) names.emplace_back(profile.name);
  return names;
}

}  // namespace kvasir
