// Reads the fields of a request by pydantic's rules in lax mode (tests/vllm/README.md, section 4):
// "5" is an integer, 1 a boolean, 5.0 an integer, 5.5 none. Every refusal is collected; the first
// one names the param.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vllm/api_error.h"
#include "vllm/python_json.h"

namespace kvasir {

// What was refused so far, in the order of the fields.
class FieldErrors {
 public:
  // `location`: such as "body.max_tokens". `input`: the value that was refused.
  void add(std::string_view type, std::string location, std::string_view message,
           const JsonValue& input);
  void add_missing(std::string location, const JsonObject& within);

  bool empty() const { return count_ == 0; }
  // Precondition: !empty().
  ApiError to_error() const;
  // Takes over the errors of a later field.
  void append(const FieldErrors& later);

 private:
  static constexpr size_t kLinesMax = 10;
  void add_line(std::string_view type, std::string location, std::string_view message,
                const std::string& input);

  size_t count_ = 0;
  std::string param_;  // of the first
  std::vector<std::string> lines_;
};

// A value as one type. nullopt: refused, and `errors` says why.
std::optional<WideInt> read_integer(const JsonValue& value, const std::string& location,
                                    FieldErrors& errors);
std::optional<double> read_real(const JsonValue& value, const std::string& location,
                                FieldErrors& errors);
std::optional<bool> read_boolean(const JsonValue& value, const std::string& location,
                                 FieldErrors& errors);
std::optional<std::string> read_string(const JsonValue& value, const std::string& location,
                                       FieldErrors& errors);

struct IntegerRange {
  WideInt min = -kWidest;
  WideInt max = kWidest;
};

// The members of one object. A method that finds nothing, a permitted null or a refused value gives
// nullopt: the caller puts its default there, since nothing is used once something was refused.
class FieldReader {
 public:
  enum class Null : uint8_t { kTaken, kRefused };

  FieldReader(const JsonObject& object, std::string location, FieldErrors& errors)
      : object_(object), location_(std::move(location)), errors_(errors) {}

  const JsonValue* find(std::string_view name) const { return find_member(object_, name); }
  FieldErrors& errors() const { return errors_; }
  const JsonObject& object() const { return object_; }
  std::string location_of(std::string_view name) const;

  std::optional<WideInt> integer(std::string_view name, Null null = Null::kTaken,
                                 IntegerRange range = {}) const;
  std::optional<double> real(std::string_view name, Null null = Null::kTaken) const;
  std::optional<bool> boolean(std::string_view name, Null null = Null::kTaken) const;
  std::optional<std::string> string(std::string_view name, Null null = Null::kTaken) const;
  std::optional<std::string> one_of(std::string_view name,
                                    const std::vector<std::string_view>& words) const;
  std::optional<std::vector<WideInt>> integers(std::string_view name) const;
  std::optional<std::vector<std::string>> strings(std::string_view name, Null null) const;
  // A member that must be an object; its content is not looked at.
  const JsonObject* object(std::string_view name) const;

 private:
  // The member, unless it is missing or null; a null is refused as `type` where it must be.
  const JsonValue* given(std::string_view name, Null null, std::string_view type,
                         std::string_view message) const;

  const JsonObject& object_;
  const std::string location_;
  FieldErrors& errors_;
};

}  // namespace kvasir
