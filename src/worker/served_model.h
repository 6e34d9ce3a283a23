// What a worker says it serves.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

// The version whose answers are imitated; /version tells it.
inline constexpr std::string_view kEmulatedVersion = "0.32.0";

// An adapter that is served under a name of its own.
struct LoraAdapter {
  std::string name;
  std::string path;
  std::string base;  // the model it belongs to; empty: the served one
};

struct ServedModel {
  std::vector<std::string> names;  // at least one; answers carry the first
  std::string root;                // the model's own name
  uint32_t max_model_len = 0;
  std::vector<LoraAdapter> adapters = {};
  bool lora = false;           // whether the metrics speak of adapters
  uint32_t adapters_most = 1;  // --max-loras

  // The adapter of that name; nullptr: there is none.
  const LoraAdapter* adapter(std::string_view name) const {
    for (const LoraAdapter& adapter : adapters) {
      if (adapter.name == name) return &adapter;
    }
    return nullptr;
  }
};

// What the server can do with the tools of a chat.
struct ToolOptions {
  bool parser = false;     // --tool-call-parser: calls can be forced
  bool automatic = false;  // --enable-auto-tool-choice: answers may call on their own
};

}  // namespace kvasir
