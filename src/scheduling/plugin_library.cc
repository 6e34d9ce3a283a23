#include "scheduling/plugin_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <exception>

#include "base/whole_file.h"

namespace kvasir {
namespace {

// dlerror() names the file most of the time, not always.
std::string loader_problem(const std::string& file) {
  const char* problem = dlerror();
  std::string text = problem != nullptr ? problem : "cannot be loaded";
  if (text.rfind(file + ": ", 0) == 0) text.erase(0, file.size() + 2);
  return text;
}

Result<void> check_abi(const std::string& file, const void* symbol) {
  if (symbol == nullptr) {
    return Error{file + ": is no plugin library: it lacks KVASIR_PLUGIN_LIBRARY(...)"};
  }
  const auto& abi = *static_cast<const PluginAbi*>(symbol);
  if (abi.version == kPluginAbiVersion && abi.layout == kPluginLayout) return {};
  const std::string version = "version " + std::to_string(abi.version) + " of the plugin interface";
  const std::string difference =
      abi.version != kPluginAbiVersion
          ? version + ", this program has " + std::to_string(kPluginAbiVersion)
          : "other headers of " + version;
  return Error{file + ": was built for " + difference +
               ": build it against this program's headers"};
}

Result<void> check_types(const std::string& file, const std::vector<PluginType>& types,
                         const Registry& registry) {
  if (types.empty()) return Error{file + ": adds no plugin type"};
  for (size_t i = 0; i < types.size(); ++i) {
    const std::string owner = file + ": type '" + types[i].name + "' ";
    if (types[i].name.empty() || !types[i].make) {
      return Error{owner + "must have a name and a way to make it"};
    }
    if (types[i].places == 0) return Error{owner + "does not say its places"};
    bool taken = registry.find(types[i].name) != nullptr;
    for (size_t other = 0; other < i; ++other) taken |= types[other].name == types[i].name;
    if (taken) return Error{owner + "exists already"};
  }
  return {};
}

}  // namespace

Result<void> load_plugin_library(const std::string& file, Registry& registry) {
  const std::string path = file.find('/') == std::string::npos ? "./" + file : file;
  // The loader would wait for a pipe's writer; that there is no file it says itself.
  const Result<void> regular = check_regular_file(path);
  if (!regular && access(path.c_str(), F_OK) == 0) {
    return Error{file + ": " + regular.error().message};
  }
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return Error{file + ": " + loader_problem(path)};
  Result<void> abi = check_abi(file, dlsym(library, "kvasir_plugin_abi"));
  if (!abi) return abi;
  const auto add =
      reinterpret_cast<void (*)(PluginEntry*)>(dlsym(library, "kvasir_register_plugins"));
  if (add == nullptr) return Error{file + ": lacks kvasir_register_plugins()"};
  PluginEntry entry;
  try {
    add(&entry);
  } catch (const std::exception& problem) {
    return Error{file + ": " + problem.what()};
  }
  std::vector<PluginType> types = entry.take_types();
  if (Result<void> good = check_types(file, types, registry); !good) return good;
  for (PluginType& type : types) registry.add(std::move(type));
  return {};
}

}  // namespace kvasir
