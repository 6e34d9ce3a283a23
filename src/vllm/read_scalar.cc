// How pydantic 2 turns JSON values into integers, numbers, booleans and strings in lax mode.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "base/text.h"
#include "vllm/field_reader.h"

namespace kvasir {
namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;
// Longer texts are refused as integers before they are read.
constexpr size_t kIntegerTextMax = 4300;
// What is left out around a number.
constexpr std::string_view kSpace = " \t\n\r\f\v";

// Digits with single underscores between them, without the underscores; nullopt when that is not
// what it is.
std::optional<std::string> plain_digits(std::string_view text) {
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    if (is_digit(text[i])) {
      digits.push_back(text[i]);
    } else if (text[i] != '_' || i == 0 || i + 1 == text.size() || text[i - 1] == '_') {
      return std::nullopt;
    }
  }
  if (digits.empty()) return std::nullopt;
  return digits;
}

// A sign, digits, and nothing but zeros behind a point.
std::optional<WideInt> integer_of_text(std::string_view text) {
  text = trimmed(text, kSpace);
  bool negative = false;
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  const size_t point = text.find('.');
  if (point != std::string_view::npos) {
    const std::string_view zeros = text.substr(point + 1);
    if (zeros.empty() || zeros.find_first_not_of('0') != std::string_view::npos)
      return std::nullopt;
    text = text.substr(0, point);
  }
  const std::optional<std::string> digits = plain_digits(text);
  if (!digits) return std::nullopt;
  WideInt value = 0;
  for (const char digit : *digits) value = std::min(kWidest, value * 10 + (digit - '0'));
  return negative ? -value : value;
}

std::optional<double> real_of_text(std::string_view text) {
  text = trimmed(text, kSpace);
  const std::string lower = lower_case(text);
  std::string_view word = lower;
  const bool negative = !word.empty() && word.front() == '-';
  if (!word.empty() && (word.front() == '-' || word.front() == '+')) word.remove_prefix(1);
  if (word == "nan") return std::nan("");
  if (word == "inf" || word == "infinity") return negative ? -HUGE_VAL : HUGE_VAL;
  if (word.empty() || word.find_first_not_of("0123456789.e+-_") != std::string_view::npos) {
    return std::nullopt;
  }
  std::string digits(lower);
  digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
  char* end = nullptr;
  const double value = std::strtod(digits.c_str(), &end);
  if (end == digits.c_str() || *end != '\0') return std::nullopt;
  return value;
}

std::optional<bool> boolean_of_text(std::string_view text) {
  static constexpr std::array<std::string_view, 6> kTrue = {"true", "yes", "on", "t", "y", "1"};
  static constexpr std::array<std::string_view, 6> kFalse = {"false", "no", "off", "f", "n", "0"};
  const std::string lower = lower_case(text);
  if (std::find(kTrue.begin(), kTrue.end(), lower) != kTrue.end()) return true;
  if (std::find(kFalse.begin(), kFalse.end(), lower) != kFalse.end()) return false;
  return std::nullopt;
}

// What an integer field says to a number with a point or an exponent.
std::optional<WideInt> integer_of_real(double real, const JsonValue& value,
                                       const std::string& location, FieldErrors& errors) {
  if (!std::isfinite(real)) {
    errors.add("finite_number", location, "Input should be a finite number", value);
  } else if (real != std::floor(real)) {
    errors.add("int_from_float", location,
               "Input should be a valid integer, got a number with a fractional part", value);
  } else if (std::fabs(real) >= kTwoTo63) {
    errors.add("int_parsing_size", location,
               "Unable to parse input string as an integer, exceeded maximum size", value);
  } else {
    return static_cast<WideInt>(real);
  }
  return std::nullopt;
}

}  // namespace

std::optional<WideInt> read_integer(const JsonValue& value, const std::string& location,
                                    FieldErrors& errors) {
  if (const WideInt* integer = value.integer()) return *integer;
  if (const bool* boolean = value.boolean()) return *boolean ? 1 : 0;
  if (const double* real = value.real()) return integer_of_real(*real, value, location, errors);
  if (const std::string* text = value.string()) {
    if (text->size() > kIntegerTextMax) {
      errors.add("int_parsing_size", location,
                 "Unable to parse input string as an integer, exceeded maximum size", value);
      return std::nullopt;
    }
    const std::optional<WideInt> integer = integer_of_text(*text);
    if (!integer) {
      errors.add("int_parsing", location,
                 "Input should be a valid integer, unable to parse string as an integer", value);
    }
    return integer;
  }
  errors.add("int_type", location, "Input should be a valid integer", value);
  return std::nullopt;
}

std::optional<double> read_real(const JsonValue& value, const std::string& location,
                                FieldErrors& errors) {
  if (const double* real = value.real()) return *real;
  if (const WideInt* integer = value.integer()) return static_cast<double>(*integer);
  if (const bool* boolean = value.boolean()) return *boolean ? 1.0 : 0.0;
  if (const std::string* text = value.string()) {
    const std::optional<double> real = real_of_text(*text);
    if (!real) {
      errors.add("float_parsing", location,
                 "Input should be a valid number, unable to parse string as a number", value);
    }
    return real;
  }
  errors.add("float_type", location, "Input should be a valid number", value);
  return std::nullopt;
}

std::optional<bool> read_boolean(const JsonValue& value, const std::string& location,
                                 FieldErrors& errors) {
  if (const bool* boolean = value.boolean()) return *boolean;
  std::string_view type = "bool_type";
  if (const WideInt* integer = value.integer()) {
    if (*integer == 0 || *integer == 1) return *integer == 1;
    type = "bool_parsing";
  } else if (const double* real = value.real()) {
    if (*real == 0.0 || *real == 1.0) return *real == 1.0;
    type = "bool_parsing";
  } else if (const std::string* text = value.string()) {
    const std::optional<bool> boolean = boolean_of_text(*text);
    if (boolean) return boolean;
    type = "bool_parsing";
  }
  errors.add(type, location,
             type == "bool_type" ? "Input should be a valid boolean"
                                 : "Input should be a valid boolean, unable to interpret input",
             value);
  return std::nullopt;
}

std::optional<std::string> read_string(const JsonValue& value, const std::string& location,
                                       FieldErrors& errors) {
  if (const std::string* text = value.string()) return *text;
  errors.add("string_type", location, "Input should be a valid string", value);
  return std::nullopt;
}

}  // namespace kvasir
