#include "scheduling/registry.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/nearest_name.h"

namespace kvasir {
namespace {

template <class Types>
auto find_in(const Types& types, std::string_view name) {
  const auto found = types.find(name);
  return found == types.end() ? nullptr : &found->second;
}

}  // namespace

void Registry::add(PluginType type) {
  KVASIR_ASSERT(!knows(type.name), "each plugin type is registered once");
  const std::string name = type.name;
  types_.emplace(name, std::move(type));
}

void Registry::add(DataSourceType type) {
  KVASIR_ASSERT(!knows(type.name), "each plugin type is registered once");
  const std::string name = type.name;
  data_sources_.emplace(name, std::move(type));
}

void Registry::add(ExtractorType type) {
  KVASIR_ASSERT(!knows(type.name), "each plugin type is registered once");
  const std::string name = type.name;
  extractors_.emplace(name, std::move(type));
}

const PluginType* Registry::find(std::string_view name) const {
  return find_in(types_, name);
}

const DataSourceType* Registry::find_data_source(std::string_view name) const {
  return find_in(data_sources_, name);
}

const ExtractorType* Registry::find_extractor(std::string_view name) const {
  return find_in(extractors_, name);
}

bool Registry::knows(std::string_view name) const {
  return find(name) != nullptr || find_data_source(name) != nullptr ||
         find_extractor(name) != nullptr;
}

std::vector<std::string_view> Registry::data_layer_names() const {
  std::vector<std::string_view> names;
  for (const auto& entry : data_sources_) names.push_back(entry.first);
  for (const auto& entry : extractors_) names.push_back(entry.first);
  return names;
}

std::vector<std::string_view> Registry::names() const {
  std::vector<std::string_view> names;
  for (const auto& entry : types_) names.push_back(entry.first);
  return names;
}

std::string_view Registry::nearest(std::string_view name) const {
  return nearest_name(name, names());
}

}  // namespace kvasir
