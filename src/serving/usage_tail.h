// Finds usage.prompt_tokens in an answer without parsing it: keeps the last bytes that passed, and looks there
// when the answer is over.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvasir {

class UsageTail {
 public:
  static constexpr size_t kBytes = 1024;

  void add(std::string_view bytes);
  // The last "prompt_tokens" number in the tail.
  std::optional<uint32_t> prompt_tokens() const;

 private:
  std::string tail_;  // at most 2 * kBytes
};

}  // namespace kvasir
