#include "scheduling/registry.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace kvasir {
namespace {

// Letters to insert, remove or replace to make `b` of `a` (Levenshtein).
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

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
  std::string_view nearest;
  size_t least = name.size() / 2 + 1;  // further away it is another name, not a slip
  for (const auto& entry : types_) {
    const size_t letters = distance(name, entry.first);
    if (letters >= least) continue;
    least = letters;
    nearest = entry.first;
  }
  return nearest;
}

}  // namespace kvasir
