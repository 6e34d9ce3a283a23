#include "vllm/chat_messages.h"

#include <algorithm>
#include <array>

#include "vllm/schema/json_schema.h"

namespace kvasir {
namespace {

// The first branch of the union: where the errors of a message that fits none begin.
constexpr const char* kFirstBranch = ".ChatCompletionDeveloperMessageParam";
constexpr const char* kToolCall = "ChatCompletionMessageFunctionToolCallParam";

constexpr std::array<std::string_view, 8> kMediaParts = {"image_url",   "image_pil", "image_embeds",
                                                         "input_audio", "audio_url", "audio_embeds",
                                                         "video_url",   "file"};

bool is_string(const JsonValue* value) {
  return value != nullptr && value->string() != nullptr;
}

// A text, or anything that can be iterated: parts are looked at later.
bool content_fits(const JsonValue& content) {
  return content.string() != nullptr || content.array() != nullptr || content.object() != nullptr;
}

// Whether some branch takes the message. The one for roles of any name is the widest; only an
// assistant's content may be null.
bool fits_a_branch(const JsonObject& message) {
  const JsonValue* role = find_member(message, "role");
  if (!is_string(role)) return false;
  const JsonValue* name = find_member(message, "name");
  if (name != nullptr && name->string() == nullptr) return false;
  const JsonValue* content = find_member(message, "content");
  if (content == nullptr || content_fits(*content)) return true;
  return content->is_null() && *role->string() == "assistant";
}

void add_branch_errors(const JsonObject& message, const std::string& location,
                       FieldErrors& errors) {
  const JsonValue* content = find_member(message, "content");
  if (content == nullptr) {
    errors.add_missing(location + ".content", message);
  } else if (!content_fits(*content)) {
    errors.add("string_type", location + ".content", "Input should be a valid string", *content);
  }
  const JsonValue* role = find_member(message, "role");
  if (role == nullptr) {
    errors.add_missing(location + ".role", message);
  } else if (!is_string(role) || *role->string() != "developer") {
    errors.add("literal_error", location + ".role", "Input should be 'developer'", *role);
  }
  const JsonValue* name = find_member(message, "name");
  if (name != nullptr) read_string(*name, location + ".name", errors);
}

ApiError part_error(std::string_view why) {
  return bad_request(std::nullopt,
                     std::string("1 validation error for ValidatorIterator\n0\n  ").append(why));
}

// Appends the text of one part; what is wrong with it otherwise.
std::optional<ApiError> read_part(const JsonValue& part, std::string& text) {
  const JsonObject* object = part.object();
  if (object == nullptr) return part_error("Input should be a valid dictionary");
  const JsonValue* type = find_member(*object, "type");
  if (!is_string(type)) return part_error("A content part needs a type");
  const std::string& kind = *type->string();
  if (std::find(kMediaParts.begin(), kMediaParts.end(), kind) != kMediaParts.end()) {
    return bad_request(std::nullopt, "this model is not a multimodal model");
  }
  if (kind != "text" && kind != "refusal" && kind != "thinking") {
    return part_error("Unknown type of content part");
  }
  const JsonValue* content = find_member(*object, kind);
  if (!is_string(content)) return part_error("Input should be a valid string");
  if (kind == "text") text.append(*content->string());
  return std::nullopt;
}

std::optional<ApiError> read_content(const JsonValue& content, std::string& text) {
  if (const std::string* plain = content.string()) {
    text = *plain;
    return std::nullopt;
  }
  if (const JsonObject* object = content.object()) {
    if (object->empty()) return std::nullopt;
    return part_error("Input should be a valid dictionary");  // what is iterated are its keys
  }
  for (const JsonValue& part : *content.array()) {
    if (auto error = read_part(part, text)) return error;
  }
  return std::nullopt;
}

// The calls of an earlier answer, as its model wrote them.
void append_tool_calls(const JsonObject& message, std::string& text) {
  const JsonValue* calls = find_given(message, "tool_calls");
  if (calls == nullptr || calls->array() == nullptr) return;
  for (const JsonValue& call : *calls->array()) {
    const JsonValue* function =
        call.object() == nullptr ? nullptr : find_given(*call.object(), "function");
    if (function == nullptr || function->object() == nullptr) continue;
    const JsonValue* name = find_given(*function->object(), "name");
    const JsonValue* arguments = find_given(*function->object(), "arguments");
    std::string json = "{}";
    if (arguments != nullptr && arguments->string() != nullptr) {
      json = *arguments->string();
    } else if (arguments != nullptr) {
      json.clear();
      append_json(*arguments, false, json);
    }
    text.append(tool_call_text(is_string(name) ? *name->string() : "", json));
  }
}

void read_message(const JsonValue& value, const std::string& location, FieldErrors& errors,
                  ChatMessages& result) {
  const JsonObject* message = value.object();
  if (message == nullptr) {
    return errors.add("dict_type", location, "Input should be a valid dictionary", value);
  }
  if (!fits_a_branch(*message)) return add_branch_errors(*message, location, errors);
  ChatMessage read;
  read.role = *find_member(*message, "role")->string();
  const JsonValue* content = find_given(*message, "content");
  if (content != nullptr) {
    auto problem = read_content(*content, read.text);
    if (problem && !result.content_problem) result.content_problem = std::move(problem);
  }
  append_tool_calls(*message, read.text);
  result.messages.push_back(std::move(read));
}

}  // namespace

ChatMessages read_chat_messages(const FieldReader& reader) {
  ChatMessages result;
  const JsonValue* value = reader.find("messages");
  const std::string location = reader.location_of("messages");
  if (value == nullptr) {
    reader.errors().add_missing(location, reader.object());
    return result;
  }
  const JsonArray* list = value->array();
  if (list == nullptr) {
    reader.errors().add("list_type", location, "Input should be a valid list", *value);
    return result;
  }
  for (size_t i = 0; i < list->size(); ++i) {
    read_message((*list)[i], location + "." + std::to_string(i) + kFirstBranch, reader.errors(),
                 result);
  }
  return result;
}

std::optional<ApiError> check_tool_calls(const JsonObject& body) {
  const JsonValue* messages = find_member(body, "messages");
  if (messages == nullptr || messages->array() == nullptr) return std::nullopt;
  FieldErrors errors;
  for (const JsonValue& message : *messages->array()) {
    const JsonValue* calls =
        message.object() == nullptr ? nullptr : find_given(*message.object(), "tool_calls");
    if (calls == nullptr) continue;
    if (const std::string* text = calls->string()) {
      if (text->empty()) continue;
      errors.add("dict_type", std::string("body.0.") + kToolCall,
                 "Input should be a valid dictionary", *calls);
    } else if (const JsonArray* list = calls->array()) {
      for (size_t i = 0; i < list->size(); ++i) {
        if ((*list)[i].object() != nullptr) continue;
        errors.add("dict_type", "body." + std::to_string(i) + "." + kToolCall,
                   "Input should be a valid dictionary", (*list)[i]);
      }
    }
  }
  if (errors.empty()) return std::nullopt;
  return errors.to_error();
}

}  // namespace kvasir
