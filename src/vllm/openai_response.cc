#include "vllm/openai_response.h"

#include "vllm/answer_fields.h"
#include "wire/json/json_text.h"

namespace kvasir {
namespace {

// A pointer to what an optional holds, or nullptr.
template <class T>
const T* pointer(const std::optional<T>& value) {
  return value ? &*value : nullptr;
}

void append_head(const AnswerHead& head, std::string_view object, std::string& json) {
  json.append("{\"id\":");
  append_json_string(head.id, json);
  json.append(",\"object\":\"").append(object).append("\",\"created\":");
  append_number(head.created, json);
  json.append(",\"model\":");
  append_json_string(head.model, json);
  json.append(",\"choices\":[");
}

void append_usage(const AnswerHead& head, const Usage& usage, std::string& json) {
  json.append("],\"service_tier\":null,\"system_fingerprint\":");
  append_json_string(head.fingerprint, json);
  json.append(",\"usage\":");
  append_usage_counts(usage, json);
  json.append(",\"prompt_tokens_details\":{\"cached_tokens\":");
  append_number(static_cast<int64_t>(usage.cached_tokens), json);
  json.append(head.kind == AnswerKind::kChat ? ",\"created_cache_tokens\":0"
                                             : ",\"created_cache_tokens\":null");
  json.append(",\"multimodal_tokens\":null},\"completion_tokens_details\":null}");
}

void append_tool_calls(const std::vector<ToolCall>& calls, std::string& json) {
  if (calls.empty()) return;
  json.append(",\"tool_calls\":[");
  for (const ToolCall& call : calls) {
    if (&call != &calls.front()) json.push_back(',');
    json.append("{\"id\":");
    append_json_string(call.id, json);
    json.append(",\"type\":\"function\",\"function\":{\"name\":");
    append_json_string(call.name, json);
    json.append(",\"arguments\":");
    append_json_string(call.arguments, json);
    json.append("}}");
  }
  json.push_back(']');
}

void append_ending(const ChoiceAnswer& choice, AnswerKind kind, std::string& json) {
  json.append(",\"logprobs\":");
  append_logprobs(kind, pointer(choice.logprobs), json);
  json.append(",\"finish_reason\":");
  append_finish_reason(choice.finish, json);
  json.append(",\"stop_reason\":");
  append_stop_reason(choice.finish, json);
  json.append(",\"token_ids\":");
  append_token_ids(pointer(choice.token_ids), json);
}

// What every whole answer ends with.
std::string append_end(std::string_view transfer_params, std::string& json) {
  json.append(",\"kv_transfer_params\":");
  json.append(transfer_params.empty() ? "null" : transfer_params);
  return std::move(json.append(",\"ec_transfer_params\":null,\"metrics\":null}"));
}

// `parent`: of an adapter; null for a model.
void append_model(std::string_view name, std::string_view root, const std::string* parent,
                  std::optional<uint32_t> max_model_len, int64_t created, std::string& json) {
  json.append("{\"id\":");
  append_json_string(name, json);
  json.append(",\"object\":\"model\",\"created\":");
  append_number(created, json);
  json.append(",\"owned_by\":\"vllm\",\"root\":");
  append_json_string(root, json);
  json.append(",\"parent\":");
  if (parent == nullptr) {
    json.append("null");
  } else {
    append_json_string(*parent, json);
  }
  json.append(",\"max_model_len\":");
  if (max_model_len) {
    append_number(*max_model_len, json);
  } else {
    json.append("null");
  }
  json.append(
      ",\"permission\":[{\"id\":\"modelperm-0000000000000000\",\"object\":\"model_permission\","
      "\"created\":");
  append_number(created, json);
  json.append(
      ",\"allow_create_engine\":false,\"allow_sampling\":true,\"allow_logprobs\":true,"
      "\"allow_search_indices\":false,\"allow_view\":true,\"allow_fine_tuning\":false,"
      "\"organization\":\"*\",\"group\":null,\"is_blocking\":false}]}");
}

}  // namespace

std::string completion_answer(const AnswerHead& head, const std::vector<ChoiceAnswer>& choices,
                              const Usage& usage, std::string_view transfer_params) {
  std::string json;
  append_head(head, "text_completion", json);
  for (const ChoiceAnswer& choice : choices) {
    if (&choice != &choices.front()) json.push_back(',');
    json.append("{\"index\":");
    append_number(choice.index, json);
    json.append(",\"text\":");
    append_json_string(choice.text, json);
    append_ending(choice, head.kind, json);
    json.append(",\"prompt_logprobs\":");
    append_prompt_logprobs(pointer(choice.prompt_logprobs), json);
    json.append(",\"prompt_token_ids\":");
    append_token_ids(pointer(choice.prompt_token_ids), json);
    json.append(",\"routed_experts\":null}");
  }
  append_usage(head, usage, json);
  return append_end(transfer_params, json);
}

std::string chat_answer(const AnswerHead& head, const std::vector<ChoiceAnswer>& choices,
                        const Usage& usage, std::string_view transfer_params) {
  std::string json;
  append_head(head, "chat.completion", json);
  for (const ChoiceAnswer& choice : choices) {
    if (&choice != &choices.front()) json.push_back(',');
    json.append("{\"index\":");
    append_number(choice.index, json);
    json.append(",\"message\":{\"role\":\"assistant\",\"content\":");
    if (choice.null_content) {
      json.append("null");
    } else {
      append_json_string(choice.text, json);
    }
    json.append(
        ",\"refusal\":null,\"annotations\":null,\"audio\":null,\"function_call\":null");
    append_tool_calls(choice.tool_calls, json);
    json.append(",\"reasoning\":null}");
    append_ending(choice, head.kind, json);
    json.append(",\"routed_experts\":null}");
  }
  append_usage(head, usage, json);
  json.append(",\"prompt_logprobs\":");
  append_prompt_logprobs(choices.empty() ? nullptr : pointer(choices.front().prompt_logprobs),
                         json);
  json.append(",\"prompt_token_ids\":");
  append_token_ids(choices.empty() ? nullptr : pointer(choices.front().prompt_token_ids), json);
  return append_end(transfer_params, json.append(",\"prompt_text\":null"));
}

std::string models_answer(const std::vector<std::string>& names, const std::string& root,
                          const std::vector<ListedAdapter>& adapters, uint32_t max_model_len,
                          int64_t created) {
  std::string json = "{\"object\":\"list\",\"data\":[";
  for (const std::string& name : names) {
    if (&name != &names.front()) json.push_back(',');
    append_model(name, root, nullptr, max_model_len, created, json);
  }
  for (const ListedAdapter& adapter : adapters) {
    json.push_back(',');
    append_model(adapter.name, adapter.root, &adapter.parent, std::nullopt, created, json);
  }
  return json.append("]}");
}

std::string tokenize_answer(const std::vector<uint32_t>& tokens, uint32_t max_model_len,
                            const std::vector<std::string>* token_strs) {
  std::string json = "{\"count\":";
  append_number(static_cast<int64_t>(tokens.size()), json);
  json.append(",\"max_model_len\":");
  append_number(max_model_len, json);
  json.append(",\"tokens\":");
  append_token_ids(&tokens, json);
  json.append(",\"token_strs\":");
  if (token_strs == nullptr) return json.append("null}");
  json.push_back('[');
  for (size_t i = 0; i < token_strs->size(); ++i) {
    if (i > 0) json.push_back(',');
    append_json_string((*token_strs)[i], json);
  }
  return json.append("]}");
}

std::string detokenize_answer(std::string_view prompt) {
  std::string json = "{\"prompt\":";
  append_json_string(prompt, json);
  return json.append("}");
}

}  // namespace kvasir
