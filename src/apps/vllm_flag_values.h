// The values of vLLM's flags where its command line has a spelling of its own for them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

// 8192, 32k (thousands), 32K (times 1024), 25.6k. nullopt: none of them, or too large.
std::optional<uint64_t> read_flag_count(std::string_view text);

// Whether the value is meant as JSON (it begins with a brace) and is not.
bool is_broken_json(const std::string& value);

// The JSON object with the member at that path ("a.b") set to `value`, which is a text if it is no
// JSON.
Result<std::string> with_json_member(const std::string& object, const std::string& path,
                                     const std::string& value);

// true, True, false, False.
std::optional<bool> read_flag_truth(std::string_view text);

// One key of a file of flags.
struct FlagFileEntry {
  int line = 0;                        // 0: of a key without a value
  std::vector<std::string> arguments;  // what it stands for: --NAME, and the values behind it
  std::string_view kind;               // of its value, as Value::kind() calls it
  bool holds_map = false;              // as its value, or in its list
};

// The flags of a YAML file (a map of names and values). Regular files of at most 1 MiB.
Result<std::vector<FlagFileEntry>> read_flag_file(const std::string& path);

}  // namespace kvasir
