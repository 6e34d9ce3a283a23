#include "timing/engine_profile.h"

#include "base/whole_file.h"
#include "timing/builtin_profiles.h"

namespace kvasir {
namespace {

constexpr size_t kProfileBytesMax = 1024 * 1024;  // the built-in ones have some 2 kB

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
  const Result<std::string> text = read_whole_file(name_or_file, kProfileBytesMax);
  if (!text) {
    return Error{"no engine profile '" + name_or_file +
                 "': neither a file that can be read nor one of " +
                 joined(builtin_engine_profiles()) + " (" + text.error().message + ")"};
  }
  return parse_engine_profile(*text, name_or_file);
}

std::vector<std::string> builtin_engine_profiles() {
  std::vector<std::string> names;
  for (const BuiltinProfile& profile : builtin_profiles()) names.emplace_back(profile.name);
  return names;
}

}  // namespace kvasir
