#include "wire/json/json_value.h"

#include <simdjson.h>

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_set>

#include "wire/json/json_cursor.h"
#include "wire/json/json_text.h"
#include "wire/yaml/yaml_scalar.h"

namespace kvasir {
namespace {

// Reads on after a problem, which it keeps: what it returns then is of no use.
class ValueReader {
 public:
  ValueReader(std::string_view text, size_t values_most)
      : text_(text), cursor_(text), values_most_(values_most) {}

  std::variant<Value, Remark> read() {
    Value value = next();
    if (problem_) return *problem_;
    return value;
  }

 private:
  Value next() {
    cursor_.skip_space();
    const int line = line_here();
    if (++values_ > values_most_) {
      fail(line, "more than " + std::to_string(values_most_) + " values");
    }
    if (problem_) return Value();
    if (cursor_.next() == '{' || cursor_.next() == '[') return container(line);
    const std::string_view scalar = cursor_.value().value_or(std::string_view());
    if (scalar.empty()) fail(line, "not JSON");
    if (problem_ || scalar == "null") return Value();
    if (scalar.front() == '"') {
      return Value(json_unescaped(scalar.substr(1, scalar.size() - 2)), line);
    }
    auto parsed = plain_yaml_scalar(std::string(scalar), line);
    if (Value* value = std::get_if<Value>(&parsed)) return std::move(*value);
    fail(line, std::get<Remark>(parsed).text);
    return Value();
  }

  Value container(int line) {
    if (depth_ >= kJsonDepthMost) {
      fail(line, "lists and maps nest deeper than " + std::to_string(kJsonDepthMost));
      return Value();
    }
    ++depth_;
    Value value = cursor_.take('{') ? map(line) : list(line);
    --depth_;
    return value;
  }

  Value map(int line) {
    Value::Map entries;
    std::unordered_set<std::string> keys;
    cursor_.skip_space();
    while (!problem_ && !cursor_.take('}')) {
      const auto raw = cursor_.string();
      std::string key = json_unescaped(raw.value_or(std::string_view()));
      if (!keys.insert(key).second) {
        fail(line_here(), "the key '" + key.substr(0, 64) + "' stands twice in one map");
      }
      cursor_.skip_space();
      if (!raw || !cursor_.take(':')) fail(line_here(), "not JSON");
      Value value = next();
      entries.emplace_back(std::move(key), std::move(value));
      skip_comma();
    }
    return Value(std::move(entries), line);
  }

  Value list(int line) {
    Value::List elements;
    cursor_.take('[');
    cursor_.skip_space();
    while (!problem_ && !cursor_.take(']')) {
      elements.push_back(next());
      skip_comma();
    }
    return Value(std::move(elements), line);
  }

  void skip_comma() {
    cursor_.skip_space();
    cursor_.take(',');
    cursor_.skip_space();
  }

  int line_here() {
    const auto begin = text_.begin();
    line_ += static_cast<int>(std::count(begin + static_cast<long>(counted_),
                                         begin + static_cast<long>(cursor_.at()), '\n'));
    counted_ = cursor_.at();
    return line_;
  }

  void fail(int line, std::string text) {
    if (!problem_) problem_ = Remark{line, std::move(text)};
  }

  const std::string_view text_;
  JsonCursor cursor_;
  const size_t values_most_;
  size_t values_ = 0;
  size_t depth_ = 0;
  size_t counted_ = 0;  // bytes whose lines are in line_
  int line_ = 1;
  std::optional<Remark> problem_;
};

}  // namespace

bool is_json(std::string_view text) {
  simdjson::dom::parser parser;
  return parser.parse(text.data(), text.size()).error() == simdjson::SUCCESS;
}

std::variant<Value, Remark> parse_json_value(std::string_view text, size_t values_most) {
  return ValueReader(text, values_most).read();
}

void append_json(const Value& value, std::string& json) {
  if (const bool* on = value.boolean()) {
    json += *on ? "true" : "false";
  } else if (const int64_t* whole = value.integer()) {
    append_number(*whole, json);
  } else if (const auto number = value.number()) {
    append_real(*number, json);
  } else if (const std::string* text = value.text()) {
    append_json_string(*text, json);
  } else if (const Value::List* list = value.list()) {
    json += '[';
    for (const Value& element : *list) {
      if (&element != &list->front()) json += ',';
      append_json(element, json);
    }
    json += ']';
  } else if (const Value::Map* map = value.map()) {
    json += '{';
    for (const auto& entry : *map) {
      if (&entry != &map->front()) json += ',';
      append_json_string(entry.first, json);
      json += ':';
      append_json(entry.second, json);
    }
    json += '}';
  } else {
    json += "null";
  }
}

}  // namespace kvasir
