#include "scheduling/registry.h"

#include <utility>

#include "base/assert.h"

namespace kvasir {

void Registry::add(PluginType type) {
  const std::string name = type.name;
  KVASIR_ASSERT(types_.emplace(name, std::move(type)).second, "each plugin type is registered once");
}

const PluginType* Registry::find(std::string_view name) const {
  const auto found = types_.find(name);
  return found == types_.end() ? nullptr : &found->second;
}

std::vector<std::string_view> Registry::names() const {
  std::vector<std::string_view> names;
  for (const auto& entry : types_) names.push_back(entry.first);
  return names;
}

}  // namespace kvasir
