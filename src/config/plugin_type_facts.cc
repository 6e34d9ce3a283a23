#include "config/plugin_type_facts.h"

#include <algorithm>

namespace kvasir {

std::vector<PluginTypeFacts> plugin_type_facts(const Registry& registry) {
  const auto upstream = upstream_plugin_types();
  std::vector<PluginTypeFacts> facts(upstream.begin(), upstream.end());
  for (const std::string_view name : registry.names()) {
    const PluginType& type = *registry.find(name);
    auto known = std::find_if(facts.begin(), facts.end(),
                              [name](const PluginTypeFacts& one) { return one.name == name; });
    if (known == facts.end()) {
      facts.push_back(PluginTypeFacts{name, kOtherPlace});
      known = facts.end() - 1;
    }
    if (type.places != 0) known->places = type.places;
    // What is refused with a reason is not made here, deprecated or not: upstream's word on it
    // stays.
    if (type.stability != Stability::kDeprecated) continue;
    known->deprecated = true;
    known->replaced_by = type.replaced_by;
  }
  for (const std::string_view name : registry.data_layer_names()) {
    facts.push_back(PluginTypeFacts{name, kDataLayerPlace});
  }
  return facts;
}

}  // namespace kvasir
