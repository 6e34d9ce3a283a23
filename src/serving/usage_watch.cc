#include "serving/usage_watch.h"

#include <charconv>
#include <cstring>

namespace kvasir {

void UsageWatch::look(std::string_view bytes) {
  // In a text the quotes would be escaped, so this is a key.
  static constexpr std::string_view kKey = "\"prompt_tokens\":";
  const auto* found =
      static_cast<const char*>(memmem(bytes.data(), bytes.size(), kKey.data(), kKey.size()));
  if (found == nullptr) return;
  std::string_view rest = bytes.substr(static_cast<size_t>(found - bytes.data()) + kKey.size());
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  uint32_t tokens = 0;
  const char* end = rest.data() + rest.size();
  const auto parsed = std::from_chars(rest.data(), end, tokens);
  if (parsed.ec == std::errc() && parsed.ptr != end) prompt_tokens_ = tokens;
}

}  // namespace kvasir
