#include "scheduling/plugin_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <exception>
#include <set>

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

// One name at a time, of whatever kind.
class Names {
 public:
  Names(const std::string& file, const Registry& registry) : file_(file), registry_(registry) {}

  template <class Type>
  Result<void> add(const Type& type) {
    const std::string owner = file_ + ": type '" + type.name + "' ";
    if (type.name.empty()) return Error{owner + "must have a name"};
    if constexpr (requires { type.make; }) {
      if (!type.make) return Error{owner + "must have a way to make it"};
    }
    if constexpr (requires { type.places; }) {
      if (type.places == 0) return Error{owner + "does not say its places"};
    }
    if (registry_.knows(type.name) || !names_.insert(type.name).second) {
      return Error{owner + "exists already"};
    }
    return {};
  }
  bool empty() const { return names_.empty(); }

 private:
  const std::string& file_;
  const Registry& registry_;
  std::set<std::string> names_;
};

Result<void> check_types(const std::string& file, const PluginEntry& entry,
                         const Registry& registry) {
  Names names(file, registry);
  const auto add_all = [&names](const auto& types) -> Result<void> {
    for (const auto& type : types) {
      if (Result<void> added = names.add(type); !added) return added;
    }
    return {};
  };
  if (Result<void> added = add_all(entry.types); !added) return added;
  if (Result<void> added = add_all(entry.data_sources); !added) return added;
  if (Result<void> added = add_all(entry.extractors); !added) return added;
  if (names.empty()) return Error{file + ": adds no plugin type"};
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
  if (Result<void> good = check_types(file, entry, registry); !good) return good;
  for (PluginType& type : entry.types) registry.add(std::move(type));
  for (DataSourceType& type : entry.data_sources) registry.add(std::move(type));
  for (ExtractorType& type : entry.extractors) registry.add(std::move(type));
  return {};
}

}  // namespace kvasir
