// What the configuration must know of a plugin type: which places it can fill. The caller passes
// the table, so that the types are those of the program that will run the configuration.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "model/plugin_place.h"

namespace kvasir {

struct PluginTypeFacts {
  std::string_view name;
  uint32_t places = 0;
  bool deprecated = false;
  std::string_view replaced_by{};  // of a deprecated type; may be empty
};

// Null when there is no such type.
const PluginTypeFacts* find_plugin_type(std::span<const PluginTypeFacts> types,
                                        std::string_view name);

// What to write in place of a type that older releases of the picker had; "" when they had none of
// that name.
std::string_view former_plugin_type_hint(std::string_view name);

// The type names of llm-d's endpoint picker and the seed's own ones, made here or not. What a
// program really has is its registry's: config/plugin_type_facts.h joins the two.
std::span<const PluginTypeFacts> upstream_plugin_types();

}  // namespace kvasir
