#include "serving/usage_watch.h"

#include <charconv>
#include <cstring>

namespace kvasir {
namespace {

// The number behind the first `key` (with its quotes and colon); nullopt: it is not there as a whole. In a text the
// quotes would be escaped, so what is found is a key.
std::optional<uint32_t> number_behind(std::string_view bytes, std::string_view key) {
  if (bytes.empty()) return std::nullopt;
  const auto* found = static_cast<const char*>(memmem(bytes.data(), bytes.size(), key.data(), key.size()));
  if (found == nullptr) return std::nullopt;
  std::string_view rest = bytes.substr(static_cast<size_t>(found - bytes.data()) + key.size());
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  uint32_t number = 0;
  const char* end = rest.data() + rest.size();
  const auto parsed = std::from_chars(rest.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr == end) return std::nullopt;
  return number;
}

}  // namespace

void UsageWatch::look(std::string_view bytes) {
  const std::optional<uint32_t> prompt = number_behind(bytes, "\"prompt_tokens\":");
  if (!prompt) return;
  prompt_tokens_ = prompt;
  if (const auto count = number_behind(bytes, "\"completion_tokens\":")) completion_tokens_ = count;
  if (const auto count = number_behind(bytes, "\"cached_tokens\":")) cached_tokens_ = count;
}

}  // namespace kvasir
