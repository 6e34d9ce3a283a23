#include "vllm/python_json.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "base/text.h"
#include "wire/json/text_encoding.h"

namespace kvasir {
namespace {

// A recursive-descent reader that mirrors CPython's _json.c step by step, so that errors are found
// at the same places. A function that returns nullopt or false has set failure_.
class Reader {
 public:
  // kNothing: every value is walked over, and texts, arrays and objects come out empty.
  enum class Keep : uint8_t { kNothing, kEverything };

  Reader(std::string_view text, Keep keep) : text_(text), keeps_(keep == Keep::kEverything) {}

  std::variant<JsonValue, JsonFailure> read() {
    skip_space();
    std::optional<JsonValue> value = read_value();
    if (value) {
      skip_space();
      if (at_ == text_.size()) return std::move(*value);
      fail("Extra data", at_);
    }
    failure_.position = count_characters(text_.substr(0, failure_.position));
    return failure_;
  }

 private:
  std::nullopt_t fail(std::string_view message, size_t byte) {
    failure_ = {JsonFailure::Kind::kSyntax, byte, std::string(message)};
    return std::nullopt;
  }
  std::nullopt_t fail_otherwise(std::string_view message) {
    failure_ = {JsonFailure::Kind::kOther, 0, std::string(message)};
    return std::nullopt;
  }

  bool at_end() const { return at_ >= text_.size(); }
  bool next_is(char byte) const { return !at_end() && text_[at_] == byte; }
  void skip_space() {
    while (!at_end() && is_json_space(text_[at_])) ++at_;
  }
  bool take(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  std::optional<JsonValue> read_value() {
    if (at_end()) return fail("Expecting value", at_);
    switch (text_[at_]) {
      case '"': {
        std::optional<std::string> string = read_string();
        if (!string) return std::nullopt;
        return JsonValue(std::move(*string));
      }
      case '{':
        return nested(&Reader::read_object);
      case '[':
        return nested(&Reader::read_array);
      default:
        break;
    }
    if (take("null")) return JsonValue();
    if (take("true")) return JsonValue(true);
    if (take("false")) return JsonValue(false);
    if (take("NaN")) return JsonValue(std::nan(""));
    if (take("Infinity")) return JsonValue(HUGE_VAL);
    if (take("-Infinity")) return JsonValue(-HUGE_VAL);
    return read_number();
  }

  std::optional<JsonValue> nested(std::optional<JsonValue> (Reader::*read_inner)()) {
    if (depth_ == kJsonDepthMax) return fail_otherwise("maximum recursion depth exceeded");
    ++depth_;
    ++at_;
    skip_space();
    std::optional<JsonValue> value = (this->*read_inner)();
    --depth_;
    return value;
  }

  std::optional<JsonValue> read_object() {
    JsonObject object;
    for (bool empty = true; !(empty && next_is('}')); empty = false) {
      if (!next_is('"')) return fail("Expecting property name enclosed in double quotes", at_);
      std::optional<std::string> key = read_string();
      if (!key) return std::nullopt;
      skip_space();
      if (!next_is(':')) return fail("Expecting ':' delimiter", at_);
      ++at_;
      skip_space();
      std::optional<JsonValue> value = read_value();
      if (!value) return std::nullopt;
      if (keeps_) object.emplace_back(std::move(*key), std::move(*value));
      skip_space();
      if (next_is('}')) break;
      if (!next_is(',')) return fail("Expecting ',' delimiter", at_);
      ++at_;
      skip_space();
    }
    ++at_;
    return JsonValue(std::move(object));
  }

  std::optional<JsonValue> read_array() {
    JsonArray array;
    for (bool empty = true; !(empty && next_is(']')); empty = false) {
      std::optional<JsonValue> value = read_value();
      if (!value) return std::nullopt;
      if (keeps_) array.push_back(std::move(*value));
      skip_space();
      if (next_is(']')) break;
      if (!next_is(',')) return fail("Expecting ',' delimiter", at_);
      ++at_;
      skip_space();
    }
    ++at_;
    return JsonValue(std::move(array));
  }

  std::optional<JsonValue> read_number() {
    const size_t start = at_;
    size_t end = start;
    if (text_[end] == '-') ++end;
    const size_t digits = end;
    if (end < text_.size() && text_[end] == '0') {
      ++end;
    } else {
      end = after_digits(end);
    }
    if (end == digits) return fail("Expecting value", start);
    bool is_real = false;
    if (end + 1 < text_.size() && text_[end] == '.' && is_digit(text_[end + 1])) {
      is_real = true;
      end = after_digits(end + 1);
    }
    if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      size_t exponent = end + 1;
      if (exponent < text_.size() && (text_[exponent] == '+' || text_[exponent] == '-')) ++exponent;
      const size_t exponent_end = after_digits(exponent);
      if (exponent_end > exponent) {
        is_real = true;
        end = exponent_end;
      }
    }
    at_ = end;
    const std::string_view number = text_.substr(start, end - start);
    if (is_real) return JsonValue(std::strtod(std::string(number).c_str(), nullptr));
    if (end - digits > kJsonDigitsMax) return fail_otherwise("an integer of too many digits");
    return JsonValue(to_integer(number));
  }

  size_t after_digits(size_t at) const {
    while (at < text_.size() && is_digit(text_[at])) ++at;
    return at;
  }

  static WideInt to_integer(std::string_view number) {
    const bool negative = number.front() == '-';
    WideInt value = 0;
    for (const char digit : number.substr(negative ? 1 : 0)) {
      value = std::min(kWidest, value * 10 + (digit - '0'));
    }
    return negative ? -value : value;
  }

  // Reads a string from its opening quote on.
  std::optional<std::string> read_string() {
    const size_t begin = at_++;
    std::string result;
    for (;;) {
      const size_t plain = at_;
      while (!at_end() && text_[at_] != '"' && text_[at_] != '\\' &&
             static_cast<unsigned char>(text_[at_]) > 0x1f) {
        ++at_;
      }
      if (keeps_) result.append(text_, plain, at_ - plain);
      if (at_end()) return fail("Unterminated string starting at", begin);
      if (text_[at_] == '"') {
        ++at_;
        return result;
      }
      if (text_[at_] != '\\') return fail("Invalid control character at", at_);
      ++at_;
      if (at_end()) return fail("Unterminated string starting at", begin);
      if (!read_escape(result)) return std::nullopt;
    }
  }

  // Reads what follows a backslash.
  bool read_escape(std::string& result) {
    static constexpr std::string_view kEscapes = "\"\\/bfnrt";
    static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const size_t backslash = at_ - 1;
    const char letter = text_[at_++];
    if (letter == 'u') return read_unicode_escape(result);
    const size_t index = kEscapes.find(letter);
    if (index == std::string_view::npos) {
      fail("Invalid \\escape", backslash);
      return false;
    }
    if (keeps_) result.push_back(kMeanings[index]);
    return true;
  }

  bool read_unicode_escape(std::string& result) {
    std::optional<uint32_t> unit = read_hex_unit();
    if (!unit) return false;
    const bool high = *unit >= 0xd800 && *unit < 0xdc00;
    // CPython looks for the second half only when the text goes on behind it.
    if (high && at_ + 6 < text_.size() && text_[at_] == '\\' && text_[at_ + 1] == 'u') {
      const size_t second = at_;
      at_ += 2;
      const std::optional<uint32_t> low = read_hex_unit();
      if (!low) return false;
      if (*low >= 0xdc00 && *low < 0xe000) {
        unit = 0x10000 + ((*unit - 0xd800) << 10) + (*low - 0xdc00);
      } else {
        at_ = second;
      }
    }
    if (keeps_) append_utf8(*unit, result);
    return true;
  }

  // Reads four hexadecimal digits, which something must follow.
  std::optional<uint32_t> read_hex_unit() {
    const size_t letter = at_ - 1;
    if (at_ + 4 >= text_.size()) return fail("Invalid \\uXXXX escape", letter);
    uint32_t unit = 0;
    for (int i = 0; i < 4; ++i) {
      const int digit = hex_value(text_[at_++]);
      if (digit < 0) return fail("Invalid \\uXXXX escape", letter);
      unit = unit << 4 | static_cast<uint32_t>(digit);
    }
    return unit;
  }

  const std::string_view text_;
  const bool keeps_;
  size_t at_ = 0;
  size_t depth_ = 0;
  JsonFailure failure_;
};

}  // namespace

bool JsonValue::truthy() const {
  if (const bool* value = boolean()) return *value;
  if (const WideInt* value = integer()) return *value != 0;
  if (const double* value = real()) return *value != 0;
  if (const std::string* value = string()) return !value->empty();
  if (const JsonArray* value = array()) return !value->empty();
  if (const JsonObject* value = object()) return !value->empty();
  return false;
}

const JsonValue* find_member(const JsonObject& object, std::string_view name) {
  const auto found = std::find_if(object.rbegin(), object.rend(),
                                  [&](const auto& member) { return member.first == name; });
  return found == object.rend() ? nullptr : &found->second;
}

const JsonValue* find_given(const JsonObject& object, std::string_view name) {
  const JsonValue* value = find_member(object, name);
  return value != nullptr && value->is_null() ? nullptr : value;
}

namespace {

std::variant<JsonValue, JsonFailure> read_bytes(std::string_view bytes, Reader::Keep keep) {
  std::string storage;
  const std::optional<std::string_view> text = decode_json_bytes(bytes, storage);
  if (!text) return JsonFailure{JsonFailure::Kind::kOther, 0, "the bytes are no text"};
  return Reader(*text, keep).read();
}

}  // namespace

std::variant<JsonValue, JsonFailure> parse_python_json(std::string_view bytes) {
  return read_bytes(bytes, Reader::Keep::kEverything);
}

JsonCheck check_python_json(std::string_view bytes) {
  const auto read = read_bytes(bytes, Reader::Keep::kNothing);
  if (const JsonFailure* failure = std::get_if<JsonFailure>(&read)) return {*failure, false};
  return {std::nullopt, std::get<JsonValue>(read).is_null()};
}

bool has_lone_surrogate(std::string_view text) {
  for (size_t at = text.find('\xed'); at != std::string_view::npos;
       at = text.find('\xed', at + 1)) {
    if (at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) >= 0xa0) return true;
  }
  return false;
}

size_t count_characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xc0) != 0x80;
  }));
}

}  // namespace kvasir
