#include <algorithm>
#include <array>
#include <cmath>

#include "vllm/schema/json_maker.h"

namespace kvasir {

unsigned json_type_of(std::string_view name) {
  static constexpr std::array<std::string_view, 7> kNames = {
      "null", "boolean", "integer", "number", "string", "array", "object"};
  for (unsigned i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return 1u << i;
  }
  return 0;
}

std::optional<double> number_in(const JsonObject& schema, std::string_view name) {
  const JsonValue* value = find_member(schema, name);
  if (value == nullptr) return std::nullopt;
  if (const WideInt* integer = value->integer()) return static_cast<double>(*integer);
  if (const double* real = value->real()) return *real;
  return std::nullopt;
}

void JsonBounds::narrow(const JsonObject& schema, const char* low, const char* high) {
  if (const auto number = number_in(schema, low)) least = std::max(least, std::ceil(*number));
  if (const auto number = number_in(schema, high)) {
    most = std::min(most.value_or(*number), std::floor(*number));
  }
}

void JsonMaker::collect(const JsonValue& schema, JsonDemands& demands, int depth) {
  if (depth > kSchemaDepthMost || !spend()) {
    demands.impossible = true;
    return;
  }
  if (const bool* all = schema.boolean()) {
    demands.impossible = demands.impossible || !*all;
    return;
  }
  const JsonObject* object = schema.object();
  if (object == nullptr) return;
  const JsonValue* reference = find_member(*object, "$ref");
  if (reference != nullptr && reference->string() != nullptr) {
    const JsonValue* target = find_reference(root_, *reference->string());
    if (target == nullptr) {
      demands.impossible = true;
      return;
    }
    collect(*target, demands, depth + 1);
  }
  collect_scalars(*object, demands);
  collect_combinations(*object, demands, depth);
}

void JsonMaker::collect_scalars(const JsonObject& schema, JsonDemands& demands) {
  unsigned types = 0;
  const auto add_type = [&](const JsonValue& name) {
    const unsigned type = name.string() == nullptr ? 0 : json_type_of(*name.string());
    types |= type == kJsonNumber ? kJsonNumber | kJsonInteger : type;
  };
  if (const JsonValue* type = find_member(schema, "type")) {
    if (const JsonArray* list = type->array()) {
      for (const JsonValue& name : *list) add_type(name);
    } else {
      add_type(*type);
    }
    demands.types &= types;
  }
  const auto has = [&](std::initializer_list<const char*> names) {
    return std::any_of(names.begin(), names.end(),
                       [&](const char* name) { return find_member(schema, name) != nullptr; });
  };
  if (const JsonValue* only = find_member(schema, "const")) demands.constants.push_back(only);
  const JsonValue* values = find_member(schema, "enum");
  if (values != nullptr && values->array() != nullptr) demands.enums.push_back(values->array());

  const auto raise = [](std::optional<double>& bound, bool& strict, double by, bool strictly) {
    if (bound && (by < *bound || (by == *bound && !strictly))) return;
    bound = by;
    strict = strictly;
  };
  const auto lower = [](std::optional<double>& bound, bool& strict, double by, bool strictly) {
    if (bound && (by > *bound || (by == *bound && !strictly))) return;
    bound = by;
    strict = strictly;
  };
  const auto flag = [&](const char* name) {  // draft 4
    const JsonValue* value = find_member(schema, name);
    return value != nullptr && value->boolean() != nullptr && *value->boolean();
  };
  if (const auto bound = number_in(schema, "minimum")) {
    raise(demands.minimum, demands.above, *bound, flag("exclusiveMinimum"));
  }
  if (const auto bound = number_in(schema, "exclusiveMinimum")) {
    raise(demands.minimum, demands.above, *bound, true);
  }
  if (const auto bound = number_in(schema, "maximum")) {
    lower(demands.maximum, demands.below, *bound, flag("exclusiveMaximum"));
  }
  if (const auto bound = number_in(schema, "exclusiveMaximum")) {
    lower(demands.maximum, demands.below, *bound, true);
  }
  if (const auto of = number_in(schema, "multipleOf")) demands.multiples.push_back(*of);
  if (has({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})) {
    demands.implied |= kJsonNumber | kJsonInteger;
  }
  demands.length.narrow(schema, "minLength", "maxLength");
  demands.items.narrow(schema, "minItems", "maxItems");
  demands.properties.narrow(schema, "minProperties", "maxProperties");
  const JsonValue* pattern = find_member(schema, "pattern");
  if (pattern != nullptr && pattern->string() != nullptr) {
    if (demands.pattern != nullptr && *demands.pattern != *pattern->string()) {
      demands.impossible = true;  // two at once
    }
    demands.pattern = pattern->string();
  }
  const JsonValue* format = find_member(schema, "format");
  if (format != nullptr && format->string() != nullptr) demands.format = *format->string();
  if (has({"pattern", "format", "minLength", "maxLength"})) demands.implied |= kJsonString;
  if (has({"items", "prefixItems", "minItems", "maxItems", "contains", "uniqueItems"})) {
    demands.implied |= kJsonArray;
    demands.arrays.push_back(&schema);
  }
  if (has({"properties", "required", "additionalProperties", "minProperties", "maxProperties",
           "propertyNames", "dependentRequired", "dependencies"})) {
    demands.implied |= kJsonObject;
    demands.objects.push_back(&schema);
  }
}

void JsonMaker::collect_combinations(const JsonObject& schema, JsonDemands& demands, int depth) {
  const auto list = [&](const char* name) -> const JsonArray* {
    const JsonValue* value = find_member(schema, name);
    return value == nullptr ? nullptr : value->array();
  };
  if (const JsonArray* all = list("allOf")) {
    for (const JsonValue& part : *all) collect(part, demands, depth + 1);
  }
  for (const char* name : {"anyOf", "oneOf"}) {
    if (const JsonArray* options = list(name)) demands.choices.push_back(options);
  }
  // The branch that is taken when the condition holds, or the other one.
  const JsonValue* condition = find_member(schema, "if");
  if (condition == nullptr) return;
  const JsonValue* then = find_member(schema, "then");
  const JsonValue* otherwise = find_member(schema, "else");
  const bool holds = plain_ || random_.below(2) == 0;
  if (holds) collect(*condition, demands, depth + 1);
  if (holds && then != nullptr) collect(*then, demands, depth + 1);
  if (!holds && otherwise != nullptr) collect(*otherwise, demands, depth + 1);
}

// Takes one of each list of options, which may bring further lists.
void JsonMaker::decide(JsonDemands& demands, int depth) {
  for (size_t i = 0; i < demands.choices.size() && !demands.impossible; ++i) {
    const JsonArray& options = *demands.choices[i];
    size_t option = plain_ ? 0 : random_.below(options.size());
    if (depth > limits_.depth_most) option = simplest(options);
    collect(options[option], demands, 0);
  }
}

size_t JsonMaker::simplest(const JsonArray& options) const {
  size_t best = 0;
  for (size_t i = 1; i < options.size(); ++i) {
    if (cost(options[i], 0) < cost(options[best], 0)) best = i;
  }
  return best;
}

// How much a value of the schema brings with it: scalars least, then what may be empty.
unsigned JsonMaker::cost(const JsonValue& schema, int depth) const {
  const JsonObject* object = schema.object();
  if (object == nullptr || depth > 4) return 3;
  const JsonValue* reference = find_member(*object, "$ref");
  if (reference != nullptr && reference->string() != nullptr) {
    const JsonValue* target = find_reference(root_, *reference->string());
    return target == nullptr ? 3 : 1 + cost(*target, depth + 1);
  }
  if (find_member(*object, "const") != nullptr || find_member(*object, "enum") != nullptr) return 0;
  const JsonValue* type = find_member(*object, "type");
  const std::string* name = type == nullptr ? nullptr : type->string();
  if (name == nullptr) return 3;
  if (*name == "array") return number_in(*object, "minItems").value_or(0) > 0 ? 3 : 1;
  if (*name == "object") return find_member(*object, "required") != nullptr ? 3 : 1;
  return 0;
}

unsigned JsonMaker::pick_type(const JsonDemands& demands, int depth) {
  unsigned types = demands.types;
  if (types == kJsonAny && demands.implied != 0) types = demands.implied;
  if (types == kJsonAny && depth == 0) return kJsonObject;
  if (types == kJsonAny) types = kJsonString | kJsonInteger | kJsonBoolean;
  const bool deep = depth > limits_.depth_most;
  const unsigned scalars = types & ~(kJsonArray | kJsonObject);
  if (deep && scalars != 0) types = scalars;
  // Nothing is only what remains: an answer with content is more use.
  if ((types & ~kJsonNull) != 0 && (!deep || plain_)) types &= ~static_cast<unsigned>(kJsonNull);
  std::vector<unsigned> each;
  for (unsigned type = kJsonNull; type <= kJsonObject; type <<= 1) {
    if ((types & type) != 0) each.push_back(type);
  }
  if (each.empty()) return 0;
  return plain_ ? each.back() : each[random_.below(each.size())];
}

}  // namespace kvasir
