#include "serving/usage_tail.h"

#include <charconv>

namespace kvasir {

void UsageTail::add(std::string_view bytes) {
  if (bytes.size() >= kBytes) {
    tail_.assign(bytes.substr(bytes.size() - kBytes));
    return;
  }
  if (tail_.size() + bytes.size() > 2 * kBytes) tail_.erase(0, tail_.size() - kBytes);
  tail_.append(bytes);
}

std::optional<uint32_t> UsageTail::prompt_tokens() const {
  static constexpr std::string_view kKey = "\"prompt_tokens\"";
  const size_t at = tail_.rfind(kKey);
  if (at == std::string::npos) return std::nullopt;
  const size_t digit = tail_.find_first_not_of(" :", at + kKey.size());
  if (digit == std::string::npos) return std::nullopt;
  uint32_t tokens = 0;
  const auto parsed = std::from_chars(tail_.data() + digit, tail_.data() + tail_.size(), tokens);
  if (parsed.ec != std::errc()) return std::nullopt;
  return tokens;
}

}  // namespace kvasir
