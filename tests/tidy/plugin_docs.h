// Writes docs/plugins.md from what the plugins' own headers say and the registry knows.
#pragma once

#include <string>
#include <vector>

#include "scheduling/registry.h"

namespace kvasir {

// What the comment at the head of a plugin's header says.
struct PluginComment {
  std::string file;                // relative to the source tree
  std::vector<std::string> types;  // that it names before its first colon, in that order
  std::string intent;              // the sentence behind that colon
  // "Formula", "Inputs", "Parameters of by-label": and what stands behind their colons.
  std::vector<std::pair<std::string, std::string>> fields;
  std::string example;  // YAML

  bool has(const std::string& field) const;  // one that begins with that word
};

// Of every header under src/ that begins with a type of the registry, in the order of their names.
std::vector<PluginComment> read_plugin_comments(const std::string& source_tree,
                                                const Registry& registry);

// Why the type is never made; empty: it is.
std::string refusal_of(const Registry& registry, const std::string& type);

std::string plugin_document(const Registry& registry, const std::vector<PluginComment>& comments);

}  // namespace kvasir
