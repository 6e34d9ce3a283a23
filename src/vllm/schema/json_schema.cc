#include "vllm/schema/json_schema.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "wire/json/json_text.h"
#include "vllm/schema/regex_sample.h"

namespace kvasir {
namespace {

constexpr std::array<std::string_view, 7> kSchemaTypes = {"null",   "boolean", "integer", "number",
                                                          "string", "array",   "object"};

// What a keyword's value is.
enum class Shape : uint8_t { kSchema, kSchemas, kSchemaMap, kSchemaOrSchemas };
struct Keyword {
  std::string_view name;
  Shape shape;
};
constexpr std::array<Keyword, 22> kSubschemas = {{{"allOf", Shape::kSchemas},
                                                  {"anyOf", Shape::kSchemas},
                                                  {"oneOf", Shape::kSchemas},
                                                  {"prefixItems", Shape::kSchemas},
                                                  {"not", Shape::kSchema},
                                                  {"if", Shape::kSchema},
                                                  {"then", Shape::kSchema},
                                                  {"else", Shape::kSchema},
                                                  {"items", Shape::kSchemaOrSchemas},
                                                  {"additionalItems", Shape::kSchema},
                                                  {"unevaluatedItems", Shape::kSchema},
                                                  {"contains", Shape::kSchema},
                                                  {"additionalProperties", Shape::kSchema},
                                                  {"unevaluatedProperties", Shape::kSchema},
                                                  {"propertyNames", Shape::kSchema},
                                                  {"contentSchema", Shape::kSchema},
                                                  {"properties", Shape::kSchemaMap},
                                                  {"patternProperties", Shape::kSchemaMap},
                                                  {"dependentSchemas", Shape::kSchemaMap},
                                                  {"$defs", Shape::kSchemaMap},
                                                  {"definitions", Shape::kSchemaMap},
                                                  {"dependencies", Shape::kSchemaMap}}};
constexpr std::array<std::string_view, 14> kNumbers = {"minimum",          "maximum",
                                                       "exclusiveMinimum", "exclusiveMaximum",
                                                       "multipleOf",       "minLength",
                                                       "maxLength",        "minItems",
                                                       "maxItems",         "minProperties",
                                                       "maxProperties",    "minContains",
                                                       "maxContains",      ""};

// Counts `value` and all that it holds; false: too many.
bool count_values(const JsonValue& value, size_t& count) {
  if (++count > kSchemaValuesMost) return false;
  if (const JsonArray* array = value.array()) {
    return std::all_of(array->begin(), array->end(),
                       [&](const JsonValue& item) { return count_values(item, count); });
  }
  const JsonObject* object = value.object();
  return object == nullptr || std::all_of(object->begin(), object->end(), [&](const auto& member) {
           return count_values(member.second, count);
         });
}

class SchemaChecker {
 public:
  explicit SchemaChecker(const JsonValue& root) : root_(root) {}

  std::optional<std::string> check() {
    check_schema(root_, "#", 0);
    return problem_;
  }

 private:
  void check_schema(const JsonValue& schema, const std::string& place, int depth);
  void check_subschemas(const JsonObject& schema, const std::string& place, int depth);
  void check_type(const JsonValue& type, const std::string& place);
  void check_reference(const JsonObject& schema, const std::string& place);
  void check_scalars(const JsonObject& schema, const std::string& place);
  void fail(const std::string& place, const std::string& why) {
    if (!problem_) problem_ = place + ": " + why;
  }

  const JsonValue& root_;
  std::optional<std::string> problem_;
};

void SchemaChecker::check_schema(const JsonValue& schema, const std::string& place, int depth) {
  if (problem_ || schema.boolean() != nullptr) return;
  if (depth > kSchemaDepthMost) {
    return fail(place, "more than " + std::to_string(kSchemaDepthMost) + " levels");
  }
  const JsonObject* object = schema.object();
  if (object == nullptr) return fail(place, "a schema is an object or a boolean");
  if (const JsonValue* type = find_member(*object, "type")) check_type(*type, place);
  check_reference(*object, place);
  check_scalars(*object, place);
  check_subschemas(*object, place, depth);
}

void SchemaChecker::check_subschemas(const JsonObject& schema, const std::string& place,
                                     int depth) {
  for (const Keyword& keyword : kSubschemas) {
    const JsonValue* value = find_member(schema, keyword.name);
    if (value == nullptr) continue;
    const std::string there = place + "/" + std::string(keyword.name);
    const bool listed = keyword.shape == Shape::kSchemas ||
                        (keyword.shape == Shape::kSchemaOrSchemas && value->array() != nullptr);
    if (keyword.shape == Shape::kSchemaMap) {
      if (value->object() == nullptr) return fail(there, "it is no object");
      for (const auto& [name, part] : *value->object()) {
        if (keyword.name == "dependencies" && part.array() != nullptr) continue;
        check_schema(part, there + "/" + name.substr(0, 64), depth + 1);
      }
    } else if (listed) {
      if (value->array() == nullptr) return fail(there, "it is no list");
      const bool combines = keyword.name != "prefixItems" && keyword.name != "items";
      if (combines && value->array()->empty()) return fail(there, "the list is empty");
      for (const JsonValue& part : *value->array()) check_schema(part, there, depth + 1);
    } else {
      check_schema(*value, there, depth + 1);
    }
  }
}

void SchemaChecker::check_type(const JsonValue& type, const std::string& place) {
  const auto known = [&](const JsonValue& name) {
    const std::string* text = name.string();
    return text != nullptr &&
           std::find(kSchemaTypes.begin(), kSchemaTypes.end(), *text) != kSchemaTypes.end();
  };
  const JsonArray* list = type.array();
  const bool good = list == nullptr
                        ? known(type)
                        : !list->empty() && std::all_of(list->begin(), list->end(), known);
  if (!good) fail(place + "/type", "it is not a type, or a list of types");
}

void SchemaChecker::check_reference(const JsonObject& schema, const std::string& place) {
  for (const char* other : {"$dynamicRef", "$recursiveRef"}) {
    if (find_member(schema, other) != nullptr)
      fail(place, std::string(other) + " is not supported");
  }
  const JsonValue* reference = find_member(schema, "$ref");
  if (reference == nullptr) return;
  if (reference->string() == nullptr) return fail(place + "/$ref", "it is no text");
  if (find_reference(root_, *reference->string()) == nullptr) {
    fail(place + "/$ref", "nothing in the schema is called " + reference->string()->substr(0, 200));
  }
}

void SchemaChecker::check_scalars(const JsonObject& schema, const std::string& place) {
  for (const std::string_view name : kNumbers) {
    const JsonValue* value = name.empty() ? nullptr : find_member(schema, name);
    if (value == nullptr) continue;
    const bool flag = value->boolean() != nullptr && name.substr(0, 9) == "exclusive";  // draft 4
    if (value->integer() == nullptr && value->real() == nullptr && !flag) {
      fail(place + "/" + std::string(name), "it is no number");
    }
  }
  const JsonValue* values = find_member(schema, "enum");
  if (values != nullptr && (values->array() == nullptr || values->array()->empty())) {
    fail(place + "/enum", "it is not a list of at least one value");
  }
  const JsonValue* required = find_member(schema, "required");
  if (required != nullptr && required->array() == nullptr && required->boolean() == nullptr) {
    fail(place + "/required", "it is no list");
  }
  const JsonValue* pattern = find_member(schema, "pattern");
  if (pattern == nullptr) return;
  if (pattern->string() == nullptr) return fail(place + "/pattern", "it is no text");
  const Result<RegexSampler> sampler = RegexSampler::create(*pattern->string());
  if (!sampler) fail(place + "/pattern", sampler.error().message);
}

// One part of a JSON pointer: ~1 is a slash, ~0 a tilde; percent escapes as in a fragment.
std::string unescaped(std::string_view part) {
  std::string text;
  for (size_t i = 0; i < part.size(); ++i) {
    unsigned byte = 0;
    if (part[i] == '~' && i + 1 < part.size() && (part[i + 1] == '0' || part[i + 1] == '1')) {
      text.push_back(part[++i] == '0' ? '~' : '/');
    } else if (part[i] == '%' && i + 2 < part.size() &&
               std::from_chars(part.data() + i + 1, part.data() + i + 3, byte, 16).ptr ==
                   part.data() + i + 3) {
      text.push_back(static_cast<char>(byte));
      i += 2;
    } else {
      text.push_back(part[i]);
    }
  }
  return text;
}

}  // namespace

std::optional<std::string> check_json_schema(const JsonValue& schema) {
  size_t values = 0;
  if (!count_values(schema, values)) {
    return "#: more than " + std::to_string(kSchemaValuesMost) + " values";
  }
  return SchemaChecker(schema).check();
}

const JsonValue* find_reference(const JsonValue& root, std::string_view reference) {
  if (reference.empty() || reference.front() != '#') return nullptr;
  reference.remove_prefix(1);
  const JsonValue* at = &root;
  while (at != nullptr && !reference.empty()) {
    if (reference.front() != '/') return nullptr;
    reference.remove_prefix(1);
    const size_t end = std::min(reference.find('/'), reference.size());
    const std::string part = unescaped(reference.substr(0, end));
    reference.remove_prefix(end);
    if (const JsonObject* object = at->object()) {
      at = find_member(*object, part);
    } else if (const JsonArray* array = at->array()) {
      size_t index = 0;
      const auto [stop, failure] = std::from_chars(part.data(), part.data() + part.size(), index);
      const bool good = failure == std::errc() && stop == part.data() + part.size();
      at = good && index < array->size() ? &(*array)[index] : nullptr;
    } else {
      at = nullptr;
    }
  }
  return at;
}

void append_json(const JsonValue& value, bool ascii, std::string& text) {
  const auto append_text = [&](std::string_view content) {
    ascii ? append_json_ascii_string(content, text) : append_json_string(content, text);
  };
  if (value.is_null()) {
    text += "null";
  } else if (const bool* boolean = value.boolean()) {
    text += *boolean ? "true" : "false";
  } else if (const WideInt* integer = value.integer()) {
    text += to_text(*integer);
  } else if (const double* real = value.real()) {
    std::isfinite(*real) ? append_real(*real, text) : static_cast<void>(text.append("null"));
  } else if (const std::string* content = value.string()) {
    append_text(*content);
  } else if (const JsonArray* array = value.array()) {
    text += '[';
    for (size_t i = 0; i < array->size(); ++i) {
      if (i > 0) text += ", ";
      append_json((*array)[i], ascii, text);
    }
    text += ']';
  } else if (const JsonObject* object = value.object()) {
    text += '{';
    for (size_t i = 0; i < object->size(); ++i) {
      if (i > 0) text += ", ";
      append_text((*object)[i].first);
      text += ": ";
      append_json((*object)[i].second, ascii, text);
    }
    text += '}';
  }
}

}  // namespace kvasir
