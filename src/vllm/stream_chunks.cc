#include "vllm/stream_chunks.h"

#include "vllm/answer_fields.h"
#include "wire/json/json_text.h"

namespace kvasir {

namespace {

void append_tool_calls(const std::vector<ToolCallDelta>& calls, std::string& events) {
  events.append(",\"delta\":{");
  if (!calls.empty()) events.append("\"tool_calls\":[");
  for (const ToolCallDelta& call : calls) {
    if (&call != &calls.front()) events.push_back(',');
    events.push_back('{');
    if (call.id != nullptr) {
      events.append("\"id\":");
      append_json_string(*call.id, events);
      events.append(",\"type\":\"function\",");
    }
    events.append("\"index\":");
    append_number(call.index, events);
    events.append(",\"function\":{");
    if (call.name != nullptr) {
      events.append("\"name\":");
      append_json_string(*call.name, events);
      events.push_back(',');
    }
    events.append("\"arguments\":\"");
    append_json_escaped(call.arguments, events);
    events.append("\"}}");
  }
  events.append(calls.empty() ? "}" : "]}");
}

}  // namespace

StreamChunks::StreamChunks(const AnswerHead& head) : kind_(head.kind) {
  head_ = "data: {\"id\":";
  append_json_string(head.id, head_);
  head_.append(kind_ == AnswerKind::kChat ? ",\"object\":\"chat.completion.chunk\",\"created\":"
                                          : ",\"object\":\"text_completion\",\"created\":");
  append_number(head.created, head_);
  head_.append(",\"model\":");
  append_json_string(head.model, head_);
  head_.append(",\"choices\":[");
  fingerprint_ = ",\"system_fingerprint\":";
  append_json_string(head.fingerprint, fingerprint_);
}

void StreamChunks::append_role(uint32_t choice, const Usage* usage,
                               const std::vector<uint32_t>* prompt_token_ids,
                               std::string& events) const {
  events.append(head_).append("{\"index\":");
  append_number(choice, events);
  events.append(
      ",\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":"
      "null}]");
  if (usage != nullptr) append_counts(*usage, events);
  events.append(",\"prompt_token_ids\":");
  append_token_ids(prompt_token_ids, events);
  events.append(",\"prompt_text\":null}\n\n");
}

void StreamChunks::append_delta(uint32_t choice, const ChunkDelta& delta,
                                std::string& events) const {
  events.append(head_).append("{\"index\":");
  append_number(choice, events);
  if (kind_ == AnswerKind::kChat) {
    append_chat_delta(delta, events);
  } else {
    append_completion_delta(delta, events);
  }
  if (delta.usage != nullptr) append_counts(*delta.usage, events);
  if (delta.last) events.append(fingerprint_);
  events.append("}\n\n");
}

void StreamChunks::append_completion_delta(const ChunkDelta& delta, std::string& events) const {
  events.append(",\"text\":\"");
  append_json_escaped(delta.text, events);
  const bool plain = delta.finish == nullptr && delta.logprobs == nullptr &&
                     delta.prompt_token_ids == nullptr && delta.token_ids == nullptr;
  if (plain) {
    events.append(
        "\",\"logprobs\":null,\"finish_reason\":null,\"stop_reason\":null,\"prompt_token_ids\":"
        "null,"
        "\"token_ids\":null}]");
    return;
  }
  events.append("\",\"logprobs\":");
  append_logprobs(kind_, delta.logprobs, events);
  events.append(",\"finish_reason\":");
  if (delta.finish != nullptr) {
    append_finish_reason(*delta.finish, events);
    events.append(",\"stop_reason\":");
    append_stop_reason(*delta.finish, events);
  } else {
    events.append("null,\"stop_reason\":null");
  }
  events.append(",\"prompt_token_ids\":");
  append_token_ids(delta.prompt_token_ids, events);
  events.append(",\"token_ids\":");
  append_token_ids(delta.token_ids, events);
  events.append("}]");
}

void StreamChunks::append_chat_delta(const ChunkDelta& delta, std::string& events) const {
  if (delta.tool_calls != nullptr) {
    append_tool_calls(*delta.tool_calls, events);
    events.append(",\"logprobs\":");
  } else {
    events.append(",\"delta\":{\"content\":\"");
    append_json_escaped(delta.text, events);
    events.append("\"},\"logprobs\":");
  }
  append_logprobs(kind_, delta.logprobs, events);
  events.append(",\"finish_reason\":");
  if (delta.finish != nullptr) {
    append_finish_reason(*delta.finish, events);
    events.append(",\"stop_reason\":");
    append_stop_reason(*delta.finish, events);
  } else {
    events.append("null");
  }
  events.append(",\"token_ids\":");
  append_token_ids(delta.token_ids, events);
  events.append("}]");
}

void StreamChunks::append_counts(const Usage& usage, std::string& events) const {
  events.append(",\"usage\":");
  append_usage_counts(usage, events);
  events.append(kind_ == AnswerKind::kChat ? ",\"completion_tokens_details\":null}" : "}");
}

void StreamChunks::append_usage(const Usage& usage, std::string& events) const {
  events.append(head_).append("],\"usage\":");
  append_usage_counts(usage, events);
  events.append(",\"prompt_tokens_details\":{\"cached_tokens\":");
  append_number(static_cast<int64_t>(usage.cached_tokens), events);
  events.append(kind_ == AnswerKind::kChat ? ",\"created_cache_tokens\":0}}" : "}}");
  events.append(fingerprint_).append("}\n\n");
}

}  // namespace kvasir
