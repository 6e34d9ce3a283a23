#include "vllm/constraint_fields.h"

#include <algorithm>

namespace kvasir {

std::shared_ptr<const JsonValue> any_object_schema() {
  JsonObject schema;
  schema.emplace_back("type", JsonValue(std::string("object")));
  return std::make_shared<JsonValue>(std::move(schema));
}

namespace {

using ConstraintKind = AnswerConstraint::Kind;

// Brackets that match and nothing that repeats nothing: enough to tell a broken pattern from a
// sound one.
bool regex_is_broken(std::string_view regex) {
  int open = 0;
  bool in_class = false;
  bool can_repeat = false;
  for (size_t i = 0; i < regex.size(); ++i) {
    const char byte = regex[i];
    if (byte == '\\') {
      if (++i == regex.size()) return true;
      can_repeat = true;
    } else if (in_class) {
      in_class = byte != ']';
    } else if (byte == '[') {
      in_class = can_repeat = true;
    } else if (byte == '(') {
      ++open;
      can_repeat = false;
      if (i + 1 < regex.size() && regex[i + 1] == '?') ++i;
    } else if (byte == ')') {
      if (--open < 0) return true;
      can_repeat = true;
    } else if (byte == '*' || byte == '+' || byte == '?') {
      if (!can_repeat) return true;
    } else {
      can_repeat = byte != '|';
    }
  }
  return open != 0 || in_class;
}

// A schema as it was sent: an object or a boolean, or the text of one. nullptr: neither.
std::shared_ptr<const JsonValue> schema_of(const JsonValue& value) {
  if (value.object() != nullptr || value.boolean() != nullptr) {
    return std::make_shared<JsonValue>(value);
  }
  if (value.string() == nullptr) return nullptr;
  auto parsed = parse_python_json(*value.string());
  JsonValue* schema = std::get_if<JsonValue>(&parsed);
  if (schema == nullptr || schema->string() != nullptr) return nullptr;
  return std::make_shared<JsonValue>(std::move(*schema));
}

// Texts, of which there must be one at least.
std::vector<std::string> texts_of(const JsonValue& value) {
  std::vector<std::string> texts;
  if (value.array() == nullptr) return texts;
  for (const JsonValue& text : *value.array()) {
    if (text.string() != nullptr) texts.push_back(*text.string());
  }
  return texts;
}

// What an answer is held to; where that is impossible, why.
void constrain_to_regex(const JsonValue& regex, GenerationRequest& request) {
  if (regex.string() == nullptr || regex_is_broken(*regex.string())) {
    request.sampling.structured_outputs_problem =
        "Error in structured outputs: the regex cannot be compiled.";
  } else {
    request.constraint = {ConstraintKind::kRegex, {}, *regex.string()};
  }
}

void constrain_to_choice(const JsonValue& choice, GenerationRequest& request) {
  std::vector<std::string> texts = texts_of(choice);
  if (texts.empty()) {
    request.sampling.structured_outputs_problem = "Choice '[]' cannot be an empty list";
  } else {
    request.constraint = {ConstraintKind::kChoice, {}, {}, std::move(texts)};
  }
}

void constrain_to_schema(const JsonValue& json, GenerationRequest& request) {
  if (std::shared_ptr<const JsonValue> schema = schema_of(json)) {
    request.constraint = {ConstraintKind::kJson, std::move(schema)};
  } else {
    request.sampling.structured_outputs_problem = "Error in structured outputs: json is no schema.";
  }
}

// A schema is an object with a name.
void read_json_schema(const JsonValue& value, const std::string& location, FieldErrors& errors) {
  const JsonObject* schema = value.object();
  if (schema == nullptr) {
    errors.add("model_attributes_type", location, "Input should be a valid dictionary", value);
  } else if (find_member(*schema, "name") == nullptr) {
    errors.add_missing(location + ".name", *schema);
  } else {
    read_string(*find_member(*schema, "name"), location + ".name", errors);
  }
}

void read_format(const JsonObject& format, const std::string& type, AnswerConstraint& constraint) {
  if (type == "json_object") constraint = {ConstraintKind::kJson, any_object_schema()};
  if (type != "json_schema") return;
  const JsonValue* named = find_given(format, "json_schema");
  const JsonObject* holder = named == nullptr ? nullptr : named->object();
  const JsonValue* schema = holder == nullptr ? nullptr : find_given(*holder, "schema");
  constraint = {ConstraintKind::kJson, schema == nullptr
                                           ? any_object_schema()
                                           : std::make_shared<const JsonValue>(*schema)};
}

}  // namespace

void read_structured_outputs(const FieldReader& reader, GenerationRequest& request) {
  const JsonObject* outputs = reader.object("structured_outputs");
  if (outputs == nullptr) return;
  if (const JsonValue* regex = find_given(*outputs, "regex")) {
    constrain_to_regex(*regex, request);
  } else if (const JsonValue* choice = find_given(*outputs, "choice")) {
    constrain_to_choice(*choice, request);
  } else if (const JsonValue* json = find_given(*outputs, "json")) {
    constrain_to_schema(*json, request);
  } else if (const JsonValue* object = find_given(*outputs, "json_object")) {
    if (object->truthy()) request.constraint = {ConstraintKind::kJson, any_object_schema()};
  }
}

void read_response_format(const FieldReader& reader, GenerationRequest& request) {
  const JsonObject* format = reader.object("response_format");
  if (format == nullptr) return;
  const std::string location = reader.location_of("response_format");
  const JsonValue* type = find_member(*format, "type");
  if (type == nullptr) return reader.errors().add_missing(location + ".type", *format);
  const std::string* word = type->string();
  const bool plain =
      word != nullptr && (*word == "text" || *word == "json_object" || *word == "json_schema");
  const bool structural =
      word != nullptr && *word == "structural_tag" &&
      (find_given(*format, "format") != nullptr || (find_given(*format, "structures") != nullptr &&
                                                    find_given(*format, "triggers") != nullptr));
  if (!plain && !structural) {
    reader.errors().add("literal_error", location + ".type",
                        "Input should be 'text', 'json_object' or 'json_schema'", *type);
  }
  const JsonValue* schema = find_given(*format, "json_schema");
  if (schema != nullptr) read_json_schema(*schema, location + ".json_schema", reader.errors());
  if (word != nullptr && request.constraint.kind == ConstraintKind::kNone) {
    read_format(*format, *word, request.constraint);
  }
}

void read_guided_fields(const FieldReader& reader, GenerationRequest& request) {
  if (request.constraint.kind != ConstraintKind::kNone) return;
  if (request.sampling.structured_outputs_problem) return;
  if (const JsonValue* json = find_given(reader.object(), "guided_json")) {
    constrain_to_schema(*json, request);
  } else if (const JsonValue* regex = find_given(reader.object(), "guided_regex")) {
    constrain_to_regex(*regex, request);
  } else if (const JsonValue* choice = find_given(reader.object(), "guided_choice")) {
    constrain_to_choice(*choice, request);
  }
}

}  // namespace kvasir
