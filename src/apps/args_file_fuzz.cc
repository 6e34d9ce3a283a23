// The words of any text hold no NUL byte, are no longer than it together, and, written in quotes,
// read the same.
#include <cstdint>
#include <string_view>

#include "apps/args_file.h"
#include "base/assert.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const kvasir::Result<std::vector<std::string>> words = kvasir::split_arguments(text);
  if (!words) return 0;
  size_t bytes = 0;
  std::string quoted;
  for (const std::string& word : *words) {
    bytes += word.size();
    KVASIR_ASSERT(word.find('\0') == std::string::npos, "no NUL");
    const bool single = word.find('\'') == std::string::npos;
    if (!single && word.find('"') != std::string::npos) return 0;  // no quotes hold both
    quoted.append(1, single ? '\'' : '"').append(word).append(1, single ? '\'' : '"').append("\n");
  }
  KVASIR_ASSERT(bytes <= size, "nothing is added");
  const kvasir::Result<std::vector<std::string>> again = kvasir::split_arguments(quoted);
  KVASIR_ASSERT(again && *again == *words, "quotes change nothing");
  return 0;
}
