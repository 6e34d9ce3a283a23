// What a worker says it serves.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

// The version whose answers are imitated; /version tells it.
inline constexpr std::string_view kEmulatedVersion = "0.32.0";

struct ServedModel {
  std::vector<std::string> names;  // at least one; answers carry the first
  std::string root;                // the model's own name
  uint32_t max_model_len = 0;
};

}  // namespace kvasir
