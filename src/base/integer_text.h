// A whole number that a text is.
#pragma once

#include <charconv>
#include <optional>
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

}  // namespace kvasir
