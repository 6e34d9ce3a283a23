// Whole numbers and their texts.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace kvasir {

// Nothing but decimal digits, behind a minus where Integer has a sign. nullopt: the text is
// something else, or its number does not fit.
template <class Integer>
std::optional<Integer> integer_of(std::string_view text) {
  Integer value{};
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end) return std::nullopt;
  return value;
}

// The 16 hexadecimal digits of a number, in lower case.
inline std::string hexadecimal(uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

}  // namespace kvasir
