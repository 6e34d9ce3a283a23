#include "vllm/raw_checks.h"

#include <algorithm>
#include <string>
#include <string_view>

namespace kvasir {
namespace {

using MaybeError = std::optional<ApiError>;

constexpr size_t kPromptsMax = 1024;
constexpr size_t kCacheSaltCharactersMax = 128;

bool truthy_member(const JsonObject& body, std::string_view name) {
  const JsonValue* value = find_member(body, name);
  return value != nullptr && value->truthy();
}

ApiError refused(const std::string& param, std::string message) {
  return bad_request(param, message.append(" (parameter=").append(param).append(")"));
}

bool is_integer(const JsonValue& value) {
  return value.integer() != nullptr || value.boolean() != nullptr;  // a bool is an int to Python
}

MaybeError check_prompt(const JsonObject& body) {
  const JsonValue* prompt = find_given(body, "prompt");
  const JsonArray* list = prompt == nullptr ? nullptr : prompt->array();
  if (list != nullptr && list->size() > kPromptsMax &&
      !std::all_of(list->begin(), list->end(), is_integer)) {
    return refused("prompt", "prompt list length " + std::to_string(list->size()) +
                                 " exceeds the maximum allowed count of " +
                                 std::to_string(kPromptsMax) + ".");
  }
  const bool empty =
      prompt == nullptr || (prompt->string() != nullptr && prompt->string()->empty());
  if (empty && find_given(body, "prompt_embeds") == nullptr) {
    return refused("prompt", "Either prompt or prompt_embeds must be provided and non-empty.");
  }
  return std::nullopt;
}

MaybeError check_stream_options(const JsonObject& body) {
  if (!truthy_member(body, "stream_options") || truthy_member(body, "stream")) return std::nullopt;
  return refused("stream_options", "Stream options can only be defined when `stream=True`.");
}

// The number that a logprobs field holds; nullopt: it is not a number.
std::optional<double> number_of(const JsonValue& value) {
  if (const WideInt* integer = value.integer()) return static_cast<double>(*integer);
  if (const double* real = value.real()) return *real;
  if (const bool* boolean = value.boolean()) return *boolean ? 1 : 0;
  return std::nullopt;
}

MaybeError check_logprobs_number(const JsonObject& body, const std::string& name) {
  const JsonValue* value = find_given(body, name);
  if (value == nullptr) return std::nullopt;
  const std::optional<double> number = number_of(*value);
  if (!number) return refused(name, "`" + name + "` must be a number.");
  if (*number < 0 && *number != -1) {
    return refused(name, "`" + name + "` must be a positive value or -1.");
  }
  return std::nullopt;
}

// Whether a field that was found to be a number asks for at least one alternative.
bool wants_alternatives(const JsonObject& body, std::string_view name) {
  const JsonValue* value = find_given(body, name);
  const double number = value == nullptr ? 0 : number_of(*value).value_or(0);
  return number > 0 || number == -1;
}

MaybeError check_prompt_logprobs(const JsonObject& body) {
  if (auto error = check_logprobs_number(body, "prompt_logprobs")) return error;
  if (wants_alternatives(body, "prompt_logprobs") && truthy_member(body, "stream")) {
    return refused("prompt_logprobs", "`prompt_logprobs` are not available when `stream=True`.");
  }
  return std::nullopt;
}

MaybeError check_top_logprobs(const JsonObject& body) {
  if (auto error = check_logprobs_number(body, "top_logprobs")) return error;
  if (wants_alternatives(body, "top_logprobs") && !truthy_member(body, "logprobs")) {
    return refused("top_logprobs", "when using `top_logprobs`, `logprobs` must be set to true.");
  }
  return std::nullopt;
}

// Chat names no param here.
MaybeError check_structured_outputs(const JsonObject& body, std::optional<std::string> param) {
  const JsonValue* outputs = find_given(body, "structured_outputs");
  if (outputs == nullptr) return std::nullopt;
  if (outputs->object() == nullptr) return internal_error("structured_outputs is no object");
  int kinds = 0;
  for (const char* kind : {"json", "regex", "choice", "grammar", "json_object", "structural_tag"}) {
    if (find_given(*outputs->object(), kind) != nullptr) ++kinds;
  }
  if (kinds <= 1) return std::nullopt;
  return bad_request(
      std::move(param),
      "You can only use one kind of constraints for structured outputs ('json', 'regex' "
      "or 'choice').");
}

MaybeError check_response_format(const JsonObject& body) {
  const JsonValue* format = find_given(body, "response_format");
  const JsonObject* object = format == nullptr ? nullptr : format->object();
  const JsonValue* type = object == nullptr ? nullptr : find_given(*object, "type");
  const bool schema =
      type != nullptr && type->string() != nullptr && *type->string() == "json_schema";
  if (!schema || find_given(*object, "json_schema") != nullptr) return std::nullopt;
  return refused(
      "response_format",
      "When response_format type is 'json_schema', the 'json_schema' field must be provided.");
}

MaybeError check_cache_salt(const JsonObject& body) {
  const JsonValue* salt = find_given(body, "cache_salt");
  if (salt == nullptr) return std::nullopt;
  const std::string* text = salt->string();
  if (text == nullptr || text->empty()) {
    return refused("cache_salt", "Parameter 'cache_salt' must be a non-empty string if provided.");
  }
  if (count_characters(*text) > kCacheSaltCharactersMax) {
    return refused("cache_salt", "Parameter 'cache_salt' must be at most 128 characters.");
  }
  if (text->find_first_of(std::string_view("@/\\\0", 4)) != std::string::npos) {
    return refused("cache_salt", "Parameter 'cache_salt' must not contain '@', '/', '\\' or NUL.");
  }
  return std::nullopt;
}

MaybeError check_messages(const JsonObject& body) {
  const JsonValue* messages = find_member(body, "messages");
  if (messages == nullptr || messages->array() != nullptr || messages->string() != nullptr ||
      messages->object() != nullptr) {
    return std::nullopt;
  }
  return bad_request(std::nullopt, "'messages' is not iterable");
}

bool names_a_tool(const JsonObject& choice, const JsonArray& tools) {
  const JsonValue* function = find_given(choice, "function");
  const JsonObject* wanted = function == nullptr ? nullptr : function->object();
  const JsonValue* name = wanted == nullptr ? nullptr : find_given(*wanted, "name");
  if (name == nullptr || name->string() == nullptr) return false;
  return std::any_of(tools.begin(), tools.end(), [&](const JsonValue& tool) {
    const JsonValue* offered =
        tool.object() == nullptr ? nullptr : find_given(*tool.object(), "function");
    const JsonValue* offered_name = offered == nullptr || offered->object() == nullptr
                                        ? nullptr
                                        : find_given(*offered->object(), "name");
    return offered_name != nullptr && offered_name->string() != nullptr &&
           *offered_name->string() == *name->string();
  });
}

MaybeError check_tools(const JsonObject& body) {
  const JsonValue* tools = find_given(body, "tools");
  const JsonArray* list = tools == nullptr ? nullptr : tools->array();
  if (list != nullptr && list->empty())
    return refused("tools", "`tools` must not be an empty list.");
  const JsonValue* choice = find_given(body, "tool_choice");
  if (choice == nullptr || (choice->string() != nullptr && *choice->string() == "none"))
    return std::nullopt;
  if (tools == nullptr)
    return refused("tool_choice", "When using `tool_choice`, `tools` must be set.");
  const std::string* word = choice->string();
  if (word != nullptr && (*word == "auto" || *word == "required")) return std::nullopt;
  if (choice->object() == nullptr) {
    return refused(
        "tool_choice",
        "Only named tools, \"none\", \"auto\" or \"required\" are supported as `tool_choice`.");
  }
  if (list == nullptr || !names_a_tool(*choice->object(), *list)) {
    return refused(
        "tool_choice",
        "The tool specified in `tool_choice` does not match any of the specified `tools`");
  }
  return std::nullopt;
}

}  // namespace

MaybeError check_raw_generation_flags(const JsonObject& body) {
  if (!truthy_member(body, "continue_final_message") ||
      !truthy_member(body, "add_generation_prompt")) {
    return std::nullopt;
  }
  return bad_request(
      std::nullopt,
      "Cannot set both `continue_final_message` and `add_generation_prompt` to True.");
}

MaybeError check_raw_completion(const JsonObject& body) {
  if (auto error = check_prompt(body)) return error;
  if (auto error = check_stream_options(body)) return error;
  if (auto error = check_prompt_logprobs(body)) return error;
  if (auto error = check_logprobs_number(body, "logprobs")) return error;
  if (auto error = check_structured_outputs(body, "structured_outputs")) return error;
  if (auto error = check_response_format(body)) return error;
  return check_cache_salt(body);
}

MaybeError check_raw_chat(const JsonObject& body) {
  if (auto error = check_messages(body)) return error;
  if (auto error = check_raw_generation_flags(body)) return error;
  if (auto error = check_tools(body)) return error;
  if (auto error = check_structured_outputs(body, std::nullopt)) return error;
  if (auto error = check_prompt_logprobs(body)) return error;
  if (auto error = check_top_logprobs(body)) return error;
  if (auto error = check_stream_options(body)) return error;
  if (auto error = check_response_format(body)) return error;
  return check_cache_salt(body);
}

}  // namespace kvasir
