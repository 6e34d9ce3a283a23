#include "wire/yaml/yaml_scalar.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "base/text.h"

namespace kvasir {
namespace {

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (text == name) return true;
  }
  return false;
}

size_t digits(std::string_view text, size_t from) {
  size_t end = from;
  while (end < text.size() && is_digit(text[end])) ++end;
  return end - from;
}

enum class ScalarShape { kText, kWhole, kReal };

// [-+]? ( digits [. digits?] | . digits ) ( [eE] [-+]? digits )?
ScalarShape shape_of(std::string_view text) {
  size_t at = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  const size_t before = digits(text, at);
  at += before;
  if (before > 0 && at == text.size()) return ScalarShape::kWhole;
  size_t after = 0;
  if (at < text.size() && text[at] == '.') {
    after = digits(text, at + 1);
    at += 1 + after;
  }
  if (before + after == 0) return ScalarShape::kText;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
    const size_t exponent = digits(text, at);
    if (exponent == 0) return ScalarShape::kText;
    at += exponent;
  }
  return at == text.size() ? ScalarShape::kReal : ScalarShape::kText;
}

std::variant<Value, Remark> whole(std::string_view text, int base, int line) {
  if (text[0] == '+') text.remove_prefix(1);
  int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (parsed.ec == std::errc()) return Value(number, line);
  return Remark{line, "the number " + std::string(text.substr(0, 40)) + " does not fit 64 bits"};
}

std::variant<Value, Remark> real(std::string_view text, int line) {
  if (text[0] == '+') text.remove_prefix(1);
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec == std::errc() && std::isfinite(number)) return Value(number, line);
  return Remark{line, "the number " + std::string(text.substr(0, 40)) + " is out of range"};
}

// Digits of a base after its prefix, such as 0x1F.
bool is_based(std::string_view text, std::string_view prefix, std::string_view allowed) {
  return text.size() > prefix.size() && text.substr(0, prefix.size()) == prefix &&
         text.find_first_not_of(allowed, prefix.size()) == std::string_view::npos;
}

}  // namespace

std::variant<Value, Remark> plain_yaml_scalar(const std::string& text, int line) {
  if (is_one_of(text, {"true", "True", "TRUE"})) return Value(true, line);
  if (is_one_of(text, {"false", "False", "FALSE"})) return Value(false, line);
  if (is_one_of(text, {".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF",
                       "-.inf", "-.Inf", "-.INF"})) {
    return Remark{line, text + " is no finite number"};
  }
  if (is_based(text, "0x", "0123456789abcdefABCDEF"))
    return whole(std::string_view(text).substr(2), 16, line);
  if (is_based(text, "0o", "01234567")) return whole(std::string_view(text).substr(2), 8, line);
  switch (shape_of(text)) {
    case ScalarShape::kWhole:
      return whole(text, 10, line);
    case ScalarShape::kReal:
      return real(text, line);
    case ScalarShape::kText:
      break;
  }
  return Value(text, line);
}

}  // namespace kvasir
