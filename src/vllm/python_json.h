// JSON as Python's json module reads it, since vLLM reads its requests with it: NaN and Infinity
// are numbers, integers have no size limit, the last of duplicate keys wins, UTF-16 and UTF-32 are
// taken, and an error names the position where Python sees it, counted in characters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "vllm/wide_int.h"

namespace kvasir {

class JsonValue;
using JsonArray = std::vector<JsonValue>;
// In the order of the text. Duplicate keys stay in it; find() sees the last.
using JsonObject = std::vector<std::pair<std::string, JsonValue>>;

// A value; strings are UTF-8, lone surrogates in them encoded as if they were characters.
class JsonValue {
 public:
  JsonValue() = default;
  explicit JsonValue(bool value) : state_(value) {}
  explicit JsonValue(WideInt value) : state_(value) {}
  explicit JsonValue(double value) : state_(value) {}
  explicit JsonValue(std::string value) : state_(std::move(value)) {}
  explicit JsonValue(JsonArray value) : state_(std::move(value)) {}
  explicit JsonValue(JsonObject value) : state_(std::move(value)) {}

  bool is_null() const { return state_.index() == 0; }
  // The value when it is of that type, else nullptr.
  const bool* boolean() const { return std::get_if<bool>(&state_); }
  const WideInt* integer() const { return std::get_if<WideInt>(&state_); }
  const double* real() const { return std::get_if<double>(&state_); }
  const std::string* string() const { return std::get_if<std::string>(&state_); }
  const JsonArray* array() const { return std::get_if<JsonArray>(&state_); }
  const JsonObject* object() const { return std::get_if<JsonObject>(&state_); }

  // Python's truth value: false for null, false, 0, 0.0, "", [] and {}.
  bool truthy() const;

 private:
  std::variant<std::monostate, bool, WideInt, double, std::string, JsonArray, JsonObject> state_;
};

// The member of that name (the last one); nullptr when there is none.
const JsonValue* find_member(const JsonObject& object, std::string_view name);
// The same, with null counted as absent.
const JsonValue* find_given(const JsonObject& object, std::string_view name);

// Why a text is not JSON.
struct JsonFailure {
  // kOther: what Python reports as something else than bad JSON: bytes that are no text, too deep
  // nesting, an integer of too many digits.
  enum class Kind : uint8_t { kSyntax, kOther };
  Kind kind = Kind::kSyntax;
  size_t position = 0;  // in characters, from 0
  std::string message;  // in Python's words
};

// Levels of arrays and objects that are read. Python's own limit depends on its stack; this is
// where vLLM's was seen.
inline constexpr size_t kJsonDepthMax = 968;
// Digits of an integer that are read.
inline constexpr size_t kJsonDigitsMax = 4300;

std::variant<JsonValue, JsonFailure> parse_python_json(std::string_view bytes);

// The same failure as parse_python_json() finds, if any, without keeping a value: no memory is
// taken, but for the bytes once more when they are UTF-16 or UTF-32.
struct JsonCheck {
  std::optional<JsonFailure> failure;
  bool is_null = false;
};
JsonCheck check_python_json(std::string_view bytes);

// Whether the text holds a surrogate on its own, which no tokenizer takes.
bool has_lone_surrogate(std::string_view text);
// The number of characters of a UTF-8 text.
size_t count_characters(std::string_view text);

}  // namespace kvasir
