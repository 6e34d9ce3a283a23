#include "vllm/tokenize_request.h"

#include "vllm/chat_messages.h"
#include "vllm/field_reader.h"
#include "vllm/schema/json_schema.h"
#include "vllm/raw_checks.h"
#include "vllm/request_body.h"

namespace kvasir {
namespace {

using Null = FieldReader::Null;

TokenizeRequest read_prompt_form(const FieldReader& reader) {
  TokenizeRequest request;
  request.model = reader.string("model");
  if (reader.find("prompt") == nullptr) {
    reader.errors().add_missing(reader.location_of("prompt"), reader.object());
  }
  request.prompt = reader.string("prompt", Null::kRefused);
  reader.boolean("add_special_tokens", Null::kRefused);
  request.return_token_strs = reader.boolean("return_token_strs").value_or(false);
  return request;
}

TokenizeRequest read_messages_form(const FieldReader& reader) {
  TokenizeRequest request;
  request.model = reader.string("model");
  ChatMessages messages = read_chat_messages(reader);
  request.messages = std::move(messages.messages);
  request.content_problem = std::move(messages.content_problem);
  const bool add_prompt = reader.boolean("add_generation_prompt", Null::kRefused).value_or(true);
  request.return_token_strs = reader.boolean("return_token_strs").value_or(false);
  const bool continues = reader.boolean("continue_final_message", Null::kRefused).value_or(false);
  reader.boolean("add_special_tokens", Null::kRefused);
  const JsonValue* tools = reader.find("tools");
  if (tools != nullptr && tools->array() != nullptr) append_json(*tools, false, request.tools_text);
  request.prompt_end = continues    ? ChatPromptEnd::kContinue
                       : add_prompt ? ChatPromptEnd::kAnswer
                                    : ChatPromptEnd::kNothing;
  return request;
}

DetokenizeRequest read_detokenize(const FieldReader& reader) {
  DetokenizeRequest request;
  request.model = reader.string("model");
  const std::string location = reader.location_of("tokens");
  const JsonValue* tokens = reader.find("tokens");
  if (tokens == nullptr) {
    reader.errors().add_missing(location, reader.object());
    return request;
  }
  if (tokens->array() == nullptr) {
    reader.errors().add("list_type", location, "Input should be a valid list", *tokens);
    return request;
  }
  for (size_t i = 0; i < tokens->array()->size(); ++i) {
    const JsonValue& item = (*tokens->array())[i];
    const std::string place = location + "." + std::to_string(i);
    const std::optional<WideInt> token = read_integer(item, place, reader.errors());
    if (token && *token < 0) {
      reader.errors().add("greater_than_equal", place, "Input should be greater than or equal to 0",
                          item);
    } else if (token && *token > kInt64Max) {
      reader.errors().add("less_than_equal", place,
                          "Input should be less than or equal to " + to_text(kInt64Max), item);
    }
    request.tokens.push_back(token.value_or(0));
  }
  return request;
}

// The body as an object, or the refusal.
std::variant<JsonObject, ApiError> read_object(std::optional<std::string_view> content_type,
                                               std::string_view body) {
  auto read = read_request_body(content_type, body);
  if (ApiError* error = std::get_if<ApiError>(&read)) return std::move(*error);
  const JsonValue& value = std::get<JsonValue>(read);
  if (value.object() == nullptr) return body_is_no_object(value);
  return *value.object();
}

}  // namespace

std::variant<TokenizeRequest, ApiError> parse_tokenize_request(
    std::optional<std::string_view> content_type, std::string_view body) {
  auto read = read_object(content_type, body);
  if (ApiError* error = std::get_if<ApiError>(&read)) return std::move(*error);
  const JsonObject& object = std::get<JsonObject>(read);
  if (auto error = check_raw_generation_flags(object)) return std::move(*error);
  FieldErrors chat_errors;
  TokenizeRequest chat = read_messages_form(FieldReader(object, "body", chat_errors));
  if (chat_errors.empty()) return chat;
  FieldErrors errors;
  TokenizeRequest prompt = read_prompt_form(FieldReader(object, "body", errors));
  if (errors.empty()) return prompt;
  errors.append(chat_errors);
  return errors.to_error();
}

std::variant<DetokenizeRequest, ApiError> parse_detokenize_request(
    std::optional<std::string_view> content_type, std::string_view body) {
  auto read = read_object(content_type, body);
  if (ApiError* error = std::get_if<ApiError>(&read)) return std::move(*error);
  FieldErrors errors;
  DetokenizeRequest request =
      read_detokenize(FieldReader(std::get<JsonObject>(read), "body", errors));
  if (!errors.empty()) return errors.to_error();
  return request;
}

}  // namespace kvasir
