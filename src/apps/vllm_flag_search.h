// Finds the flag that an argument names, as Python's argparse does for vLLM.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "apps/vllm_flag_table.h"
#include "base/result.h"

namespace kvasir {

// A flag as it was given: which one, and whether its name turns it off.
struct FoundFlag {
  const VllmFlag* flag = nullptr;
  bool off = false;
};

// The flag called `name`, without dashes and with '-' for '_': its whole name, or the beginning of
// it when no other flag begins so. `given` is what errors call it; for an unknown flag the error
// says what may have been meant.
Result<FoundFlag> find_flag(const std::string& given, std::string_view name);

// Why there is no such flag, and what may have been meant.
Error unknown_flag(const std::string& given, std::string_view name);

// A flag by its short name, with what stands right behind it: -tp, -tp=2, -q, -qfp8. The flag is
// null when there is none.
struct ShortFlag {
  const VllmFlag* flag = nullptr;
  std::optional<std::string> value = std::nullopt;
};
ShortFlag find_short_flag(std::string_view argument);

}  // namespace kvasir
