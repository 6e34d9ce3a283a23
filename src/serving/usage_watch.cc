#include "serving/usage_watch.h"

#include <charconv>
#include <cstring>

namespace kvasir {
namespace {

// The complete number behind `key` in `bytes`, which is moved past the key. In a text the key's quotes would be escaped,
// so it is a key.
std::optional<uint32_t> number_behind(std::string_view key, std::string_view& bytes) {
  const auto* found =
      static_cast<const char*>(memmem(bytes.data(), bytes.size(), key.data(), key.size()));
  if (found == nullptr) return std::nullopt;
  bytes.remove_prefix(static_cast<size_t>(found - bytes.data()) + key.size());
  std::string_view rest = bytes;
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  uint32_t number = 0;
  const char* end = rest.data() + rest.size();
  const auto parsed = std::from_chars(rest.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr == end) return std::nullopt;
  return number;
}

}  // namespace

void UsageWatch::look(std::string_view bytes) {
  const auto prompt = number_behind("\"prompt_tokens\":", bytes);
  if (!prompt) return;
  prompt_tokens_ = prompt;
  const auto completion = number_behind("\"completion_tokens\":", bytes);
  if (completion) completion_tokens_ = completion;
}

}  // namespace kvasir
