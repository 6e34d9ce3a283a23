#include <algorithm>
#include <cmath>

#include "vllm/schema/json_schema.h"

namespace kvasir {
namespace {

std::optional<double> number_of(const JsonValue* value) {
  if (value == nullptr) return std::nullopt;
  if (const WideInt* integer = value->integer()) return static_cast<double>(*integer);
  if (const double* real = value->real()) return *real;
  return std::nullopt;
}

bool is_multiple(double value, double of) {
  if (of == 0) return true;
  const double quotient = value / of;
  return std::abs(quotient - std::round(quotient)) <= 1e-9 * std::max(1.0, std::abs(quotient));
}

class Fitting {
 public:
  Fitting(const JsonValue& root, uint64_t& steps) : root_(root), steps_(steps) {}

  bool fits(const JsonValue& value, const JsonValue& schema, int depth);

 private:
  bool fits_type(const JsonValue& value, const JsonObject& schema) const;
  bool fits_number(double value, const JsonObject& schema) const;
  bool fits_size(size_t size, const JsonObject& schema, const char* least, const char* most) const;
  bool fits_array(const JsonArray& value, const JsonObject& schema, int depth);
  bool fits_object(const JsonObject& value, const JsonObject& schema, int depth);
  bool fits_member(const std::string& name, const JsonValue& value, const JsonObject& schema,
                   int depth);
  bool fits_dependencies(const JsonObject& value, const JsonObject& schema, int depth);
  bool fits_combinations(const JsonValue& value, const JsonObject& schema, int depth);
  size_t fitting(const JsonValue& value, const JsonArray& schemas, int depth);

  const JsonValue& root_;
  uint64_t& steps_;
};

bool Fitting::fits(const JsonValue& value, const JsonValue& schema, int depth) {
  if (steps_ == 0 || depth > 4 * kSchemaDepthMost) return false;
  --steps_;
  if (const bool* all = schema.boolean()) return *all;
  const JsonObject* object = schema.object();
  if (object == nullptr) return true;
  if (const JsonValue* reference = find_member(*object, "$ref")) {
    const JsonValue* target =
        reference->string() == nullptr ? nullptr : find_reference(root_, *reference->string());
    if (target == nullptr || !fits(value, *target, depth + 1)) return false;
  }
  if (!fits_type(value, *object)) return false;
  if (const std::optional<double> number = number_of(&value)) {
    if (!fits_number(*number, *object)) return false;
  }
  if (const std::string* text = value.string()) {
    if (!fits_size(count_characters(*text), *object, "minLength", "maxLength")) return false;
  }
  if (value.array() != nullptr && !fits_array(*value.array(), *object, depth)) return false;
  if (value.object() != nullptr && !fits_object(*value.object(), *object, depth)) return false;
  return fits_combinations(value, *object, depth);
}

bool Fitting::fits_type(const JsonValue& value, const JsonObject& schema) const {
  if (const JsonValue* only = find_member(schema, "const")) {
    if (!equal_json(value, *only)) return false;
  }
  const JsonValue* values = find_member(schema, "enum");
  if (values != nullptr && values->array() != nullptr &&
      std::none_of(values->array()->begin(), values->array()->end(),
                   [&](const JsonValue& one) { return equal_json(value, one); })) {
    return false;
  }
  const JsonValue* type = find_member(schema, "type");
  if (type == nullptr) return true;
  const std::string_view actual = json_type(value);
  const auto matches = [&](const JsonValue& name) {
    const std::string* text = name.string();
    return text != nullptr && (*text == actual || (*text == "number" && actual == "integer"));
  };
  const JsonArray* list = type->array();
  return list == nullptr ? matches(*type) : std::any_of(list->begin(), list->end(), matches);
}

bool Fitting::fits_number(double value, const JsonObject& schema) const {
  const std::optional<double> least = number_of(find_member(schema, "minimum"));
  const std::optional<double> most = number_of(find_member(schema, "maximum"));
  const JsonValue* above = find_member(schema, "exclusiveMinimum");
  const JsonValue* below = find_member(schema, "exclusiveMaximum");
  if (least && value < *least) return false;
  if (most && value > *most) return false;
  if (const std::optional<double> bound = number_of(above); bound && value <= *bound) return false;
  if (const std::optional<double> bound = number_of(below); bound && value >= *bound) return false;
  if (above != nullptr && above->boolean() != nullptr && *above->boolean() && least == value) {
    return false;
  }
  if (below != nullptr && below->boolean() != nullptr && *below->boolean() && most == value) {
    return false;
  }
  const std::optional<double> of = number_of(find_member(schema, "multipleOf"));
  return !of || is_multiple(value, *of);
}

bool Fitting::fits_size(size_t size, const JsonObject& schema, const char* least,
                        const char* most) const {
  const auto number = static_cast<double>(size);
  const std::optional<double> low = number_of(find_member(schema, least));
  const std::optional<double> high = number_of(find_member(schema, most));
  return (!low || number >= *low) && (!high || number <= *high);
}

bool Fitting::fits_array(const JsonArray& value, const JsonObject& schema, int depth) {
  if (!fits_size(value.size(), schema, "minItems", "maxItems")) return false;
  const JsonValue* items = find_member(schema, "items");
  const JsonValue* prefix = find_member(schema, "prefixItems");
  const JsonValue* rest = items;
  if (prefix == nullptr && items != nullptr && items->array() != nullptr) {  // up to 2019-09
    prefix = items;
    rest = find_member(schema, "additionalItems");
  }
  const JsonArray* places = prefix == nullptr ? nullptr : prefix->array();
  for (size_t i = 0; i < value.size(); ++i) {
    const bool placed = places != nullptr && i < places->size();
    const JsonValue* part = placed ? &(*places)[i] : rest;
    if (part != nullptr && !fits(value[i], *part, depth + 1)) return false;
  }
  const JsonValue* unique = find_member(schema, "uniqueItems");
  if (unique != nullptr && unique->boolean() != nullptr && *unique->boolean()) {
    for (size_t i = 0; i < value.size(); ++i) {
      for (size_t k = 0; k < i; ++k) {
        if (steps_ == 0 || equal_json(value[i], value[k])) return false;
        --steps_;
      }
    }
  }
  const JsonValue* contains = find_member(schema, "contains");
  if (contains == nullptr) return true;
  size_t count = 0;
  for (const JsonValue& item : value) count += fits(item, *contains, depth + 1) ? 1 : 0;
  const double least = number_of(find_member(schema, "minContains")).value_or(1);
  const std::optional<double> most = number_of(find_member(schema, "maxContains"));
  return static_cast<double>(count) >= least && (!most || static_cast<double>(count) <= *most);
}

bool Fitting::fits_object(const JsonObject& value, const JsonObject& schema, int depth) {
  // Names are looked for one by one.
  const uint64_t cost = value.size() * value.size() / 64;
  steps_ -= std::min(steps_, cost);
  if (!fits_size(value.size(), schema, "minProperties", "maxProperties")) return false;
  const JsonValue* required = find_member(schema, "required");
  if (required != nullptr && required->array() != nullptr) {
    for (const JsonValue& name : *required->array()) {
      if (name.string() != nullptr && find_member(value, *name.string()) == nullptr) return false;
    }
  }
  const JsonValue* names = find_member(schema, "propertyNames");
  for (const auto& [name, member] : value) {
    if (names != nullptr && !fits(JsonValue(name), *names, depth + 1)) return false;
    if (!fits_member(name, member, schema, depth)) return false;
  }
  return fits_dependencies(value, schema, depth);
}

bool Fitting::fits_member(const std::string& name, const JsonValue& value, const JsonObject& schema,
                          int depth) {
  const JsonValue* properties = find_member(schema, "properties");
  const bool lists = properties != nullptr && properties->object() != nullptr;
  if (lists) steps_ -= std::min<uint64_t>(steps_, properties->object()->size() / 64);
  const JsonValue* declared = lists ? find_member(*properties->object(), name) : nullptr;
  if (declared != nullptr) return fits(value, *declared, depth + 1);
  if (find_member(schema, "patternProperties") != nullptr) return true;
  const JsonValue* other = find_member(schema, "additionalProperties");
  return other == nullptr || fits(value, *other, depth + 1);
}

bool Fitting::fits_dependencies(const JsonObject& value, const JsonObject& schema, int depth) {
  for (const char* keyword : {"dependentRequired", "dependentSchemas", "dependencies"}) {
    const JsonValue* dependencies = find_member(schema, keyword);
    if (dependencies == nullptr || dependencies->object() == nullptr) continue;
    for (const auto& [name, then] : *dependencies->object()) {
      if (find_member(value, name) == nullptr) continue;
      if (const JsonArray* required = then.array()) {
        for (const JsonValue& other : *required) {
          if (other.string() != nullptr && find_member(value, *other.string()) == nullptr) {
            return false;
          }
        }
      } else if (!fits(JsonValue(value), then, depth + 1)) {
        return false;
      }
    }
  }
  return true;
}

size_t Fitting::fitting(const JsonValue& value, const JsonArray& schemas, int depth) {
  size_t count = 0;
  for (const JsonValue& schema : schemas) count += fits(value, schema, depth + 1) ? 1 : 0;
  return count;
}

bool Fitting::fits_combinations(const JsonValue& value, const JsonObject& schema, int depth) {
  const auto list = [&](const char* name) -> const JsonArray* {
    const JsonValue* schemas = find_member(schema, name);
    return schemas == nullptr ? nullptr : schemas->array();
  };
  if (const JsonArray* all = list("allOf")) {
    if (fitting(value, *all, depth) != all->size()) return false;
  }
  if (const JsonArray* any = list("anyOf")) {
    if (fitting(value, *any, depth) == 0) return false;
  }
  if (const JsonArray* one = list("oneOf")) {
    if (fitting(value, *one, depth) != 1) return false;
  }
  if (const JsonValue* other = find_member(schema, "not")) {
    if (fits(value, *other, depth + 1) || steps_ == 0) return false;
  }
  const JsonValue* condition = find_member(schema, "if");
  if (condition == nullptr) return true;
  const JsonValue* branch =
      find_member(schema, fits(value, *condition, depth + 1) ? "then" : "else");
  return branch == nullptr || fits(value, *branch, depth + 1);
}

}  // namespace

bool fits_json_schema(const JsonValue& value, const JsonValue& schema, const JsonValue& root,
                      uint64_t& steps) {
  return Fitting(root, steps).fits(value, schema, 0);
}

std::string_view json_type(const JsonValue& value) {
  if (value.is_null()) return "null";
  if (value.boolean() != nullptr) return "boolean";
  if (value.integer() != nullptr) return "integer";
  if (const double* real = value.real()) return *real == std::floor(*real) ? "integer" : "number";
  if (value.string() != nullptr) return "string";
  return value.array() != nullptr ? "array" : "object";
}

bool equal_json(const JsonValue& one, const JsonValue& other) {
  const std::optional<double> number = number_of(&one);
  if (number || number_of(&other)) {
    if (one.integer() != nullptr && other.integer() != nullptr) {
      return *one.integer() == *other.integer();
    }
    return number == number_of(&other);
  }
  if (json_type(one) != json_type(other)) return false;
  if (const bool* boolean = one.boolean()) return *boolean == *other.boolean();
  if (const std::string* text = one.string()) return *text == *other.string();
  if (const JsonArray* array = one.array()) {
    return array->size() == other.array()->size() &&
           std::equal(array->begin(), array->end(), other.array()->begin(), equal_json);
  }
  if (const JsonObject* object = one.object()) {
    return object->size() == other.object()->size() &&
           std::all_of(object->begin(), object->end(), [&](const auto& member) {
             const JsonValue* same = find_member(*other.object(), member.first);
             return same != nullptr && equal_json(member.second, *same);
           });
  }
  return true;
}

}  // namespace kvasir
