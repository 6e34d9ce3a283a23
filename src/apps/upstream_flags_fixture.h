// For tests that hold a table of flags against its page in docs/.
#pragma once

#include <cstdlib>
#include <fstream>
#include <optional>
#include <span>
#include <string>

#include "apps/upstream_flags.h"

namespace kvasir {

// The rows under "## Upstream's flags" of a page; nullopt: the sources are not at hand.
inline std::optional<std::string> documented_flags(const std::string& page) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  if (root == nullptr) return std::nullopt;
  std::ifstream file(std::string(root) + "/docs/" + page);
  std::string found;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) inside = line == "## Upstream's flags";
    if (inside && line.starts_with("| `-")) found.append(line).append("\n");
  }
  return found;
}

// As these rows have to be.
inline std::string rows_of_flags(std::span<const UpstreamFlag> flags) {
  std::string rows;
  for (const UpstreamFlag& flag : flags) {
    rows.append("| `").append(flag.name).append("` | ").append(to_string(flag.effect));
    if (!flag.harmless.empty()) rows.append(", unless `").append(flag.harmless).append("`");
    rows.append(" | ").append(flag.text).append(" |\n");
  }
  return rows;
}

}  // namespace kvasir
