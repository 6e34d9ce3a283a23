#include "vllm/chat_request.h"

#include "vllm/chat_messages.h"
#include "vllm/constraint_fields.h"
#include "vllm/generation_fields.h"
#include "vllm/schema/json_schema.h"
#include "vllm/raw_checks.h"
#include "vllm/request_body.h"

namespace kvasir {
namespace {

using Null = FieldReader::Null;

void read_tool(const JsonValue& tool, const std::string& location, FieldErrors& errors) {
  const JsonObject* object = tool.object();
  if (object == nullptr) {
    return errors.add("model_attributes_type", location, "Input should be a valid dictionary",
                      tool);
  }
  const JsonValue* function = find_member(*object, "function");
  if (function == nullptr) return errors.add_missing(location + ".function", *object);
  if (function->object() == nullptr) {
    return errors.add("model_attributes_type", location + ".function",
                      "Input should be a valid dictionary", *function);
  }
  const JsonValue* name = find_member(*function->object(), "name");
  if (name == nullptr) return errors.add_missing(location + ".function.name", *function->object());
  read_string(*name, location + ".function.name", errors);
  const JsonValue* parameters = find_given(*function->object(), "parameters");
  if (parameters != nullptr && parameters->object() == nullptr) {
    errors.add("dict_type", location + ".function.parameters", "Input should be a valid dictionary",
               *parameters);
  }
}

// An object without members is what a function without parameters takes.
std::shared_ptr<const JsonValue> parameters_of(const JsonObject& function) {
  const JsonValue* parameters = find_given(function, "parameters");
  if (parameters != nullptr) return std::make_shared<const JsonValue>(*parameters);
  JsonObject nothing = *any_object_schema()->object();
  nothing.emplace_back("properties", JsonValue(JsonObject()));
  return std::make_shared<const JsonValue>(std::move(nothing));
}

void add_tool(const JsonValue& tool, std::vector<ChatTool>& tools) {
  const JsonValue* function =
      tool.object() == nullptr ? nullptr : find_member(*tool.object(), "function");
  if (function == nullptr || function->object() == nullptr) return;
  const JsonValue* name = find_member(*function->object(), "name");
  if (name == nullptr || name->string() == nullptr) return;
  tools.push_back({*name->string(), parameters_of(*function->object())});
}

void read_tool_choice(const FieldReader& reader, ChatRequest& request) {
  const JsonValue* choice = reader.find("tool_choice");
  const std::string* word = choice == nullptr ? nullptr : choice->string();
  if (choice == nullptr || (word != nullptr && *word == "auto")) {
    request.tool_choice = ToolChoice::kAuto;
  } else if (word != nullptr) {
    request.tool_choice = *word == "required" ? ToolChoice::kRequired : ToolChoice::kNone;
  } else if (choice->object() != nullptr) {
    request.tool_choice = ToolChoice::kNamed;
    const JsonValue* function = find_given(*choice->object(), "function");
    const JsonValue* name = function == nullptr || function->object() == nullptr
                                ? nullptr
                                : find_given(*function->object(), "name");
    if (name != nullptr && name->string() != nullptr) request.named_tool = *name->string();
  }
}

void read_tools(const FieldReader& reader, ChatRequest& request) {
  const JsonValue* tools = reader.find("tools");
  if (tools == nullptr || tools->is_null()) return;
  const std::string location = reader.location_of("tools");
  const JsonArray* list = tools->array();
  if (list == nullptr) {
    return reader.errors().add("list_type", location, "Input should be a valid list", *tools);
  }
  for (size_t i = 0; i < list->size(); ++i) {
    read_tool((*list)[i], location + "." + std::to_string(i), reader.errors());
    add_tool((*list)[i], request.tools);
  }
  append_json(*tools, false, request.tools_text);
  read_tool_choice(reader, request);
}

void read_prompt_end(const FieldReader& reader, ChatRequest& request) {
  const bool add_prompt = reader.boolean("add_generation_prompt", Null::kRefused).value_or(true);
  const bool continues = reader.boolean("continue_final_message", Null::kRefused).value_or(false);
  request.prompt_end = continues    ? ChatPromptEnd::kContinue
                       : add_prompt ? ChatPromptEnd::kAnswer
                                    : ChatPromptEnd::kNothing;
}

void read_token_limits(const FieldReader& reader, GenerationRequest& generation) {
  generation.max_tokens = reader.integer("max_tokens");
  const auto completion_tokens = reader.integer("max_completion_tokens");
  if (!completion_tokens) return;
  generation.max_tokens = completion_tokens;
  generation.max_tokens_param = "max_completion_tokens";
}

ChatRequest read_chat_fields(const FieldReader& reader) {
  ChatRequest request;
  GenerationRequest& generation = request.generation;
  ChatMessages messages = read_chat_messages(reader);
  request.messages = std::move(messages.messages);
  request.content_problem = std::move(messages.content_problem);
  generation.model = reader.string("model");
  read_bias_fields(reader, generation);
  const bool logprobs = reader.boolean("logprobs").value_or(false);
  const WideInt top_logprobs = reader.integer("top_logprobs").value_or(0);
  if (logprobs) generation.sampling.logprobs = top_logprobs;
  read_token_limits(reader, generation);
  generation.sampling.n = reader.integer("n").value_or(1);
  generation.sampling.presence_penalty = reader.real("presence_penalty").value_or(0);
  read_response_format(reader, generation);
  read_stream_fields(reader, generation);
  read_temperature_fields(reader, generation);
  read_tools(reader, request);
  reader.one_of("reasoning_effort", {"none", "minimal", "low", "medium", "high", "xhigh", "max"});
  request.parallel_tool_calls = reader.boolean("parallel_tool_calls");
  generation.echo = reader.boolean("echo").value_or(false);
  read_prompt_end(reader, request);
  request.has_chat_template = reader.string("chat_template").has_value();
  read_vllm_fields(reader, generation);
  read_guided_fields(reader, generation);
  return request;
}

}  // namespace

std::variant<ChatRequest, ApiError> parse_chat_request(std::optional<std::string_view> content_type,
                                                       std::string_view body) {
  auto read = read_request_body(content_type, body);
  if (ApiError* error = std::get_if<ApiError>(&read)) return std::move(*error);
  const JsonValue& value = std::get<JsonValue>(read);
  const JsonObject* object = value.object();
  if (object == nullptr) return body_is_no_object(value);
  if (auto error = check_raw_chat(*object)) return std::move(*error);
  FieldErrors errors;
  ChatRequest request = read_chat_fields(FieldReader(*object, "body", errors));
  if (!errors.empty()) return errors.to_error();
  if (auto error = check_tool_calls(*object)) return std::move(*error);
  return request;
}

}  // namespace kvasir
