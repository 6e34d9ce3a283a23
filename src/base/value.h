// A tree of plain values with the lines they came from: what plugins get as parameters, whatever file format
// the parameters were written in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace kvasir {

class Value {
 public:
  using List = std::vector<Value>;
  using Map = std::vector<std::pair<std::string, Value>>;  // in the file's order; keys are unique

  Value() = default;  // null
  explicit Value(bool value, int line = 0) : line_(line), value_(value) {}
  explicit Value(int64_t value, int line = 0) : line_(line), value_(value) {}
  explicit Value(double value, int line = 0) : line_(line), value_(value) {}
  explicit Value(std::string value, int line = 0) : line_(line), value_(std::move(value)) {}
  explicit Value(List value, int line = 0) : line_(line), value_(std::move(value)) {}
  explicit Value(Map value, int line = 0) : line_(line), value_(std::move(value)) {}

  // Line in the file, from 1; 0 when it came from no file.
  int line() const { return line_; }

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  const bool* boolean() const { return std::get_if<bool>(&value_); }
  const int64_t* integer() const { return std::get_if<int64_t>(&value_); }
  // A number of either kind.
  std::optional<double> number() const {
    if (const auto* whole = integer()) return static_cast<double>(*whole);
    if (const auto* real = std::get_if<double>(&value_)) return *real;
    return std::nullopt;
  }
  const std::string* text() const { return std::get_if<std::string>(&value_); }
  const List* list() const { return std::get_if<List>(&value_); }
  const Map* map() const { return std::get_if<Map>(&value_); }

  // The value of a key of a map; null when there is none or this is no map.
  const Value* find(std::string_view key) const {
    const Map* entries = map();
    if (entries == nullptr) return nullptr;
    for (const auto& [name, value] : *entries) {
      if (name == key) return &value;
    }
    return nullptr;
  }

  // "a boolean", "a number", "a text", "a list", "a map", "nothing": for error messages.
  std::string_view kind() const {
    static constexpr std::string_view kKinds[] = {"nothing", "a boolean", "a number", "a number",
                                                  "a text",  "a list",    "a map"};
    return kKinds[value_.index()];
  }

 private:
  int line_ = 0;
  std::variant<std::monostate, bool, int64_t, double, std::string, List, Map> value_;
};

}  // namespace kvasir
