#include "vllm/field_reader.h"

#include <algorithm>

namespace kvasir {

std::string FieldReader::location_of(std::string_view name) const {
  return std::string(location_).append(".").append(name);
}

const JsonValue* FieldReader::given(std::string_view name, Null null, std::string_view type,
                                    std::string_view message) const {
  const JsonValue* value = find(name);
  if (value == nullptr || !value->is_null()) return value;
  if (null == Null::kRefused) errors_.add(type, location_of(name), message, *value);
  return nullptr;
}

std::optional<WideInt> FieldReader::integer(std::string_view name, Null null,
                                            IntegerRange range) const {
  const JsonValue* value = given(name, null, "int_type", "Input should be a valid integer");
  if (value == nullptr) return std::nullopt;
  const std::optional<WideInt> integer = read_integer(*value, location_of(name), errors_);
  if (!integer) return std::nullopt;
  if (*integer > range.max) {
    errors_.add("less_than_equal", location_of(name),
                "Input should be less than or equal to " + to_text(range.max), *value);
  } else if (*integer < range.min) {
    errors_.add("greater_than_equal", location_of(name),
                "Input should be greater than or equal to " + to_text(range.min), *value);
  }
  return integer;
}

std::optional<double> FieldReader::real(std::string_view name, Null null) const {
  const JsonValue* value = given(name, null, "float_type", "Input should be a valid number");
  if (value == nullptr) return std::nullopt;
  return read_real(*value, location_of(name), errors_);
}

std::optional<bool> FieldReader::boolean(std::string_view name, Null null) const {
  const JsonValue* value = given(name, null, "bool_type", "Input should be a valid boolean");
  if (value == nullptr) return std::nullopt;
  return read_boolean(*value, location_of(name), errors_);
}

std::optional<std::string> FieldReader::string(std::string_view name, Null null) const {
  const JsonValue* value = given(name, null, "string_type", "Input should be a valid string");
  if (value == nullptr) return std::nullopt;
  return read_string(*value, location_of(name), errors_);
}

std::optional<std::string> FieldReader::one_of(std::string_view name,
                                               const std::vector<std::string_view>& words) const {
  const JsonValue* value = given(name, Null::kTaken, "", "");
  if (value == nullptr) return std::nullopt;
  const std::string* word = value->string();
  if (word != nullptr && std::find(words.begin(), words.end(), *word) != words.end()) return *word;
  std::string message = "Input should be one of:";
  for (const std::string_view allowed : words) message.append(" '").append(allowed).append("'");
  errors_.add("literal_error", location_of(name), message, *value);
  return std::nullopt;
}

std::optional<std::vector<WideInt>> FieldReader::integers(std::string_view name) const {
  const JsonValue* value = given(name, Null::kTaken, "", "");
  if (value == nullptr) return std::nullopt;
  const JsonArray* array = value->array();
  if (array == nullptr) {
    errors_.add("list_type", location_of(name), "Input should be a valid list", *value);
    return std::nullopt;
  }
  std::vector<WideInt> integers;
  integers.reserve(array->size());
  for (size_t i = 0; i < array->size(); ++i) {
    const auto integer =
        read_integer((*array)[i], location_of(name) + "." + std::to_string(i), errors_);
    integers.push_back(integer.value_or(0));
  }
  return integers;
}

std::optional<std::vector<std::string>> FieldReader::strings(std::string_view name,
                                                             Null null) const {
  const JsonValue* value = given(name, null, "list_type", "Input should be a valid list");
  if (value == nullptr) return std::nullopt;
  const JsonArray* array = value->array();
  if (array == nullptr) {
    errors_.add("list_type", location_of(name), "Input should be a valid list", *value);
    return std::nullopt;
  }
  std::vector<std::string> strings;
  for (size_t i = 0; i < array->size(); ++i) {
    auto string = read_string((*array)[i], location_of(name) + "." + std::to_string(i), errors_);
    strings.push_back(std::move(string).value_or(""));
  }
  return strings;
}

const JsonObject* FieldReader::object(std::string_view name) const {
  const JsonValue* value = given(name, Null::kTaken, "", "");
  if (value == nullptr) return nullptr;
  if (value->object() == nullptr) {
    errors_.add("dict_type", location_of(name), "Input should be a valid dictionary", *value);
  }
  return value->object();
}

}  // namespace kvasir
