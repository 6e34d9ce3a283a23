#include "wire/request/token_question.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "wire/json/json_cursor.h"
#include "wire/json/json_text.h"
#include "wire/request/model_splice.h"
#include "wire/request/prompt_ids.h"

namespace kvasir {
namespace {

constexpr size_t kQuestionMembersMax = 4096;

// What concerns the answer alone. All else may change the tokens, fields that nobody knows
// included.
constexpr std::string_view kOfTheAnswer[] = {
    "model",
    "max_tokens",
    "max_completion_tokens",
    "min_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "n",
    "best_of",
    "stream",
    "stream_options",
    "stop",
    "stop_token_ids",
    "seed",
    "user",
    "logprobs",
    "top_logprobs",
    "prompt_logprobs",
    "presence_penalty",
    "frequency_penalty",
    "length_penalty",
    "repetition_penalty",
    "ignore_eos",
    "logit_bias",
    "cache_salt",
    "priority",
    "request_id",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "return_token_ids",
    "kv_transfer_params",
    "skip_special_tokens",
    "echo",
    "suffix",
    "max_output_tokens",
};
// What /tokenize takes besides the prompt.
constexpr std::string_view kOfTokenize[] = {
    "tools",         "add_generation_prompt", "continue_final_message", "add_special_tokens",
    "chat_template", "chat_template_kwargs",  "media_io_kwargs",        "mm_processor_kwargs"};
// What changes the tokens, and /tokenize does not take.
constexpr std::string_view kOfRenderAlone[] = {"documents", "reasoning_effort",
                                               "truncate_prompt_tokens"};

template <size_t kCount>
bool is_one_of(const std::string_view (&names)[kCount], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// The element of a list that has one; empty otherwise.
std::string_view only_element(std::string_view list) {
  JsonElements elements(list);
  if (!elements.next()) return {};
  const std::string_view first = elements.value();
  return elements.next() ? std::string_view() : first;
}

std::string_view between_quotes(std::string_view json) {
  return json.size() >= 2 && json.front() == '"' ? json.substr(1, json.size() - 2)
                                                 : std::string_view();
}

bool names_media(std::string_view quoted) {
  for (const std::string_view name : {"image", "audio", "video", "input_image", "input_audio",
                                      "input_video", "input_file", "file", "document"}) {
    if (quoted.substr(0, name.size()) != name) continue;
    // "image", "image_url", "image_embeds", ...
    const std::string_view rest = quoted.substr(name.size());
    if (!rest.empty() && (rest[0] == '"' || rest[0] == '_')) return true;
  }
  return false;
}

}  // namespace

std::optional<TokenQuestion> TokenQuestion::read(const RequestPeek& peek, std::string_view body) {
  TokenQuestion question(peek, body);
  if (peek.kind == PromptKind::kOther) {
    question.peek_.prompt = between_quotes(only_element(peek.prompt));
    if (question.peek_.prompt.data() == nullptr) return std::nullopt;
    question.peek_.kind = PromptKind::kText;
  }
  if (question.peek_.kind != PromptKind::kText && question.peek_.kind != PromptKind::kMessages) {
    return std::nullopt;
  }
  if (!question.read_members()) return std::nullopt;
  return question;
}

bool TokenQuestion::read_members() {
  const size_t brace = body_.find('{');
  if (brace == std::string_view::npos) return false;
  JsonMembers members(body_.substr(brace));
  while (members.next()) {
    if (is_one_of(kOfTheAnswer, members.key())) continue;
    if (members_.size() == kQuestionMembersMax) return false;
    members_.push_back({members.raw_key(), members.value()});
    if (members.value() != "null") read_member(members.key(), members.value());
  }
  if (has_tools_ && wants_no_tools_) fits_tokenize_ = false;
  return !members.malformed();
}

void TokenQuestion::read_member(std::string_view key, std::string_view value) {
  if (key == "add_special_tokens") {
    adds_special_tokens_ = value != "false";
  } else if (key == "truncate_prompt_tokens") {
    truncates_ = true;
  } else if (key == "tools") {
    has_tools_ = true;
  } else if (key == "tool_choice") {
    wants_no_tools_ = value == "\"none\"";
  }
  if (is_one_of(kOfRenderAlone, key)) fits_tokenize_ = false;
}

std::optional<std::string_view> TokenQuestion::text() const {
  if (peek_.kind != PromptKind::kText) return std::nullopt;
  return peek_.prompt;
}

// A text has a backslash before its quotes, so what stands behind a bare quote is a name or a value
// of its own. Taking one for media now and then costs no more than an estimate.
bool TokenQuestion::has_media() const {
  if (peek_.kind != PromptKind::kMessages) return false;
  const std::string_view messages = peek_.prompt;
  for (size_t at = messages.find('"'); at != std::string_view::npos;
       at = messages.find('"', at + 1)) {
    const bool escaped = at > 0 && messages[at - 1] == '\\';
    if (!escaped && names_media(messages.substr(at + 1, 16))) return true;
  }
  return false;
}

std::string_view TokenQuestion::render_path() const {
  switch (peek_.api) {
    case RequestApi::kCompletions:
      return "/v1/completions/render";
    case RequestApi::kChatCompletions:
      return "/v1/chat/completions/render";
    case RequestApi::kAnthropicMessages:
      return "/v1/messages/render";
    case RequestApi::kResponses:
      return "/v1/responses/render";
    default:
      return {};
  }
}

std::string TokenQuestion::render_body(std::string_view model) const {
  return model.empty() ? std::string(body_) : whole(splice_model(body_, peek_.model_json, model));
}

std::string TokenQuestion::tokenize_body(std::string_view model) const {
  std::string body = "{";
  if (!model.empty()) {
    body.append("\"model\":");
    append_json_string(model, body);
    body.append(",");
  }
  if (peek_.kind == PromptKind::kText) {
    body.append("\"prompt\":\"").append(peek_.prompt).append("\"");
  } else {
    body.append("\"messages\":").append(peek_.prompt);
  }
  for (const Member& member : members_) {
    const bool is_special = member.raw_key == "add_special_tokens";
    if (peek_.kind == PromptKind::kText ? is_special : is_one_of(kOfTokenize, member.raw_key)) {
      body.append(",\"").append(member.raw_key).append("\":").append(member.value);
    }
  }
  return body.append("}");
}

EngineTokens read_engine_tokens(std::string_view answer, size_t ids_max,
                                std::vector<uint32_t>& ids) {
  answer = trimmed(answer, kJsonSpace);
  if (!answer.empty() && answer.front() == '[') {
    const std::string_view only = only_element(answer);
    if (only.empty()) {
      JsonElements elements(answer);
      return elements.next() && elements.next() ? EngineTokens::kSeveral : EngineTokens::kNone;
    }
    answer = only;
  }
  if (answer.empty() || answer.front() != '{') return EngineTokens::kNone;
  bool found = false;
  bool has_features = false;
  JsonMembers members(answer);
  while (members.next()) {
    if (members.key() == "token_ids" || members.key() == "tokens") {
      found = read_prompt_ids(members.value(), ids_max, ids) == PromptIds::kOne;
      if (!found) return EngineTokens::kNone;
    } else if (members.key() == "features") {
      has_features = members.value() != "null";
    }
  }
  if (members.malformed() || !found) return EngineTokens::kNone;
  return has_features ? EngineTokens::kMedia : EngineTokens::kOne;
}

}  // namespace kvasir
