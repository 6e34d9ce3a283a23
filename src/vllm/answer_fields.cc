#include "vllm/answer_fields.h"

#include "wire/json/json_text.h"

namespace kvasir {
namespace {

void append_optional_real(const std::optional<double>& value, std::string& json) {
  if (value) {
    append_real(*value, json);
  } else {
    json.append("null");
  }
}

// Separates the items of a list.
void append_comma(bool first, std::string& json) {
  if (!first) json.push_back(',');
}

void append_bytes(std::string_view text, std::string& json) {
  json.push_back('[');
  for (size_t i = 0; i < text.size(); ++i) {
    append_comma(i == 0, json);
    append_number(static_cast<unsigned char>(text[i]), json);
  }
  json.push_back(']');
}

void append_chat_token(std::string_view token, const std::optional<double>& logprob,
                       std::string& json) {
  json.append("{\"token\":");
  append_json_string(token, json);
  json.append(",\"logprob\":");
  append_optional_real(logprob, json);
  json.append(",\"bytes\":");
  append_bytes(token, json);
}

void append_chat_logprobs(const std::vector<TokenLogprob>& logprobs, std::string& json) {
  json.append("{\"content\":[");
  for (size_t i = 0; i < logprobs.size(); ++i) {
    append_comma(i == 0, json);
    append_chat_token(logprobs[i].token, logprobs[i].logprob, json);
    json.append(",\"top_logprobs\":[");
    for (size_t k = 0; k < logprobs[i].top.size(); ++k) {
      append_comma(k == 0, json);
      append_chat_token(logprobs[i].top[k].first, logprobs[i].top[k].second, json);
      json.push_back('}');
    }
    json.append("]}");
  }
  json.append("]}");
}

void append_top(const TokenLogprob& logprob, std::string& json) {
  if (!logprob.logprob) {
    json.append("null");
    return;
  }
  json.push_back('{');
  for (size_t i = 0; i < logprob.top.size(); ++i) {
    append_comma(i == 0, json);
    append_json_string(logprob.top[i].first, json);
    json.push_back(':');
    append_real(logprob.top[i].second, json);
  }
  json.push_back('}');
}

template <class Append>
void append_list(std::string_view name, const std::vector<TokenLogprob>& logprobs, Append append,
                 std::string& json) {
  json.append("\"").append(name).append("\":[");
  for (size_t i = 0; i < logprobs.size(); ++i) {
    append_comma(i == 0, json);
    append(logprobs[i]);
  }
  json.push_back(']');
}

void append_completion_logprobs(const std::vector<TokenLogprob>& logprobs, std::string& json) {
  json.push_back('{');
  append_list(
      "text_offset", logprobs,
      [&](const TokenLogprob& item) {
        append_number(static_cast<int64_t>(item.text_offset), json);
      },
      json);
  json.push_back(',');
  append_list(
      "token_logprobs", logprobs,
      [&](const TokenLogprob& item) { append_optional_real(item.logprob, json); }, json);
  json.push_back(',');
  append_list(
      "tokens", logprobs, [&](const TokenLogprob& item) { append_json_string(item.token, json); },
      json);
  json.push_back(',');
  append_list(
      "top_logprobs", logprobs, [&](const TokenLogprob& item) { append_top(item, json); }, json);
  json.push_back('}');
}

void append_candidates(const std::vector<PromptLogprob>& candidates, std::string& json) {
  json.push_back('{');
  for (size_t i = 0; i < candidates.size(); ++i) {
    const PromptLogprob& candidate = candidates[i];
    append_comma(i == 0, json);
    json.append("\"").append(std::to_string(candidate.id)).append("\":{\"logprob\":");
    append_real(candidate.logprob, json);
    json.append(",\"rank\":").append(std::to_string(candidate.rank)).append(",\"decoded_token\":");
    append_json_string(candidate.token, json);
    json.push_back('}');
  }
  json.push_back('}');
}

}  // namespace

void append_token_ids(const std::vector<uint32_t>* ids, std::string& json) {
  if (ids == nullptr) {
    json.append("null");
    return;
  }
  json.push_back('[');
  for (size_t i = 0; i < ids->size(); ++i) {
    append_comma(i == 0, json);
    append_number((*ids)[i], json);
  }
  json.push_back(']');
}

void append_finish_reason(const Finish& finish, std::string& json) {
  json.append("\"").append(finish.reason).append("\"");
}

void append_stop_reason(const Finish& finish, std::string& json) {
  if (const uint32_t* token = std::get_if<uint32_t>(&finish.stop_reason)) {
    append_number(*token, json);
  } else if (const std::string* text = std::get_if<std::string>(&finish.stop_reason)) {
    append_json_string(*text, json);
  } else {
    json.append("null");
  }
}

void append_logprobs(AnswerKind kind, const std::vector<TokenLogprob>* logprobs,
                     std::string& json) {
  if (logprobs == nullptr) {
    json.append("null");
  } else if (kind == AnswerKind::kChat) {
    append_chat_logprobs(*logprobs, json);
  } else {
    append_completion_logprobs(*logprobs, json);
  }
}

void append_prompt_logprobs(const PromptLogprobs* logprobs, std::string& json) {
  if (logprobs == nullptr) {
    json.append("null");
    return;
  }
  json.push_back('[');
  for (size_t i = 0; i < logprobs->size(); ++i) {
    append_comma(i == 0, json);
    if ((*logprobs)[i].empty()) {
      json.append("null");
    } else {
      append_candidates((*logprobs)[i], json);
    }
  }
  json.push_back(']');
}

void append_usage_counts(const Usage& usage, std::string& json) {
  json.append("{\"prompt_tokens\":");
  append_number(static_cast<int64_t>(usage.prompt_tokens), json);
  json.append(",\"total_tokens\":");
  append_number(static_cast<int64_t>(usage.prompt_tokens + usage.completion_tokens), json);
  json.append(",\"completion_tokens\":");
  append_number(static_cast<int64_t>(usage.completion_tokens), json);
}

}  // namespace kvasir
