#include "wire/request/request_peek.h"

#include <simdjson.h>

#include <charconv>
#include <iterator>
#include <span>
#include <utility>

#include "base/text.h"
#include "wire/json/json_cursor.h"
#include "wire/json/json_lanes.h"
#include "wire/kv_transfer/router_members.h"

namespace kvasir {
namespace {

// --- Where each API has what -------------------------------------------------------------------

enum class Slot : uint8_t {
  kField,           // one of PromptField
  kPrompt,          // a text, token ids, or a list of either
  kMessages,        // a list of messages or items
  kMessagesOrText,  // the same, or a text that stands for one message
  kOutputLimit,
  kNewerOutputLimit,  // wins
  kSampling,          // an object that has the limit
  kSalt,
};

struct FieldName {
  std::string_view name;
  Slot slot;
  PromptField field = PromptField::kTemplate;
};

constexpr FieldName kCompletionFields[] = {
    {"prompt", Slot::kPrompt},
    {"prompt_embeds", Slot::kField, PromptField::kMedia},
    {"max_tokens", Slot::kOutputLimit},
};
constexpr FieldName kChatFields[] = {
    {"messages", Slot::kMessages},
    {"tools", Slot::kField, PromptField::kTools},
    {"documents", Slot::kField, PromptField::kDocuments},
    {"chat_template", Slot::kField, PromptField::kTemplate},
    {"chat_template_kwargs", Slot::kField, PromptField::kTemplateArguments},
    {"reasoning_effort", Slot::kField, PromptField::kReasoningEffort},
    {"max_tokens", Slot::kOutputLimit},
    {"max_completion_tokens", Slot::kNewerOutputLimit},
};
constexpr FieldName kEmbeddingFields[] = {
    {"input", Slot::kPrompt},
    {"messages", Slot::kMessages},
    {"chat_template", Slot::kField, PromptField::kTemplate},
    {"chat_template_kwargs", Slot::kField, PromptField::kTemplateArguments},
};
constexpr FieldName kResponseFields[] = {
    {"input", Slot::kMessagesOrText},
    {"instructions", Slot::kField, PromptField::kSystem},
    {"tools", Slot::kField, PromptField::kTools},
    {"reasoning", Slot::kField, PromptField::kReasoningEffort},
    {"chat_template_kwargs", Slot::kField, PromptField::kTemplateArguments},
    {"previous_response_id", Slot::kField, PromptField::kConversation},
    {"conversation", Slot::kField, PromptField::kConversation},
    {"max_output_tokens", Slot::kOutputLimit},
};
constexpr FieldName kConversationFields[] = {{"items", Slot::kMessages}};
constexpr FieldName kAnthropicFields[] = {
    {"messages", Slot::kMessages},
    {"system", Slot::kField, PromptField::kSystem},
    {"tools", Slot::kField, PromptField::kTools},
    {"output_config", Slot::kField, PromptField::kReasoningEffort},
    {"chat_template_kwargs", Slot::kField, PromptField::kTemplateArguments},
    {"max_tokens", Slot::kOutputLimit},
};
constexpr FieldName kVllmGenerateFields[] = {
    {"token_ids", Slot::kPrompt},
    {"prompt_token_ids", Slot::kPrompt},
    {"features", Slot::kField, PromptField::kMedia},
    {"sampling_params", Slot::kSampling},
};
constexpr FieldName kGenerateFields[] = {
    {"text", Slot::kPrompt},
    {"input_ids", Slot::kPrompt},
    {"prompt", Slot::kPrompt},
    {"image_data", Slot::kField, PromptField::kMedia},
    {"sampling_params", Slot::kSampling},
    {"max_tokens", Slot::kOutputLimit},
    {"extra_key", Slot::kSalt},
};
constexpr FieldName kRerankFields[] = {
    {"query", Slot::kField, PromptField::kQuery},
    {"text_1", Slot::kField, PromptField::kQuery},
    {"queries", Slot::kField, PromptField::kQuery},
    {"data_1", Slot::kField, PromptField::kQuery},
    {"documents", Slot::kPrompt},
    {"text_2", Slot::kPrompt},
    {"items", Slot::kPrompt},
    {"data_2", Slot::kPrompt},
};
// Where the body decides: messages before all else.
constexpr FieldName kAnyFields[] = {
    {"messages", Slot::kMessages},
    {"prompt", Slot::kPrompt},
    {"input", Slot::kMessagesOrText},
    {"text", Slot::kPrompt},
    {"input_ids", Slot::kPrompt},
    {"token_ids", Slot::kPrompt},
    {"prompt_token_ids", Slot::kPrompt},
    {"text_2", Slot::kPrompt},
    {"tools", Slot::kField, PromptField::kTools},
    {"system", Slot::kField, PromptField::kSystem},
    {"instructions", Slot::kField, PromptField::kSystem},
    {"documents", Slot::kField, PromptField::kDocuments},
    {"query", Slot::kField, PromptField::kQuery},
    {"text_1", Slot::kField, PromptField::kQuery},
    {"chat_template", Slot::kField, PromptField::kTemplate},
    {"chat_template_kwargs", Slot::kField, PromptField::kTemplateArguments},
    {"reasoning_effort", Slot::kField, PromptField::kReasoningEffort},
    {"image_data", Slot::kField, PromptField::kMedia},
    {"max_tokens", Slot::kOutputLimit},
    {"max_output_tokens", Slot::kOutputLimit},
    {"max_completion_tokens", Slot::kNewerOutputLimit},
    {"sampling_params", Slot::kSampling},
};

std::span<const FieldName> fields_of(RequestApi api) {
  switch (api) {
    case RequestApi::kUnknown:
      return kAnyFields;
    case RequestApi::kCompletions:
      return kCompletionFields;
    case RequestApi::kChatCompletions:
      return kChatFields;
    case RequestApi::kEmbeddings:
      return kEmbeddingFields;
    case RequestApi::kResponses:
      return kResponseFields;
    case RequestApi::kConversations:
      return kConversationFields;
    case RequestApi::kAnthropicMessages:
      return kAnthropicFields;
    case RequestApi::kVllmGenerate:
      return kVllmGenerateFields;
    case RequestApi::kSglangGenerate:
      return kGenerateFields;
    case RequestApi::kRerank:
      return kRerankFields;
    case RequestApi::kVllmGrpcGenerate:
    case RequestApi::kVllmGrpcEmbed:
    case RequestApi::kVertexAiChat:
    case RequestApi::kVertexAiResponses:
    case RequestApi::kOpaque:
      return {};
  }
  return {};
}

// Fields of a request; the largest of real ones has some eighty.
constexpr size_t kRequestFieldsMax = 4096;

// --- Values --------------------------------------------------------------------------------------

std::string_view inside_quotes(std::string_view token) {
  return token.substr(1, token.size() - 2);
}

// The first byte of an array's first element; 0: it is empty.
char first_of_array(std::string_view array) {
  const size_t first = array.find_first_not_of(kJsonSpace, 1);
  return first == std::string_view::npos || array[first] == ']' ? '\0' : array[first];
}

// Whether it is a list of token ids, or a list of such lists.
bool holds_ids(std::string_view array) {
  const char first = first_of_array(array);
  if (is_digit(first)) return true;
  return first == '[' && is_digit(first_of_array(array.substr(array.find('[', 1))));
}

bool is_empty(std::string_view value) {
  if (value == "null" || value == "\"\"") return true;
  const char close = value.front() == '[' ? ']' : '}';
  return (value.front() == '[' || value.front() == '{') &&
         value.find_first_not_of(kJsonSpace, 1) == value.size() - 1 && value.back() == close;
}

std::string text_of(std::string_view value) {
  const std::string_view raw = inside_quotes(value);
  return raw.find('\\') == std::string_view::npos ? std::string(raw) : json_unescaped(raw);
}

void read_text(std::string_view value, std::string& text) {
  if (value.front() == '"') text = text_of(value);
}

void read_count(std::string_view digits, std::optional<uint32_t>& count) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error == std::errc() && end == digits.data() + digits.size()) count = number;
}

void read_model(std::string_view value, RequestPeek& peek) {
  if (value.front() == '{' || value.front() == '[') return;
  peek.model_json = value;
  read_text(value, peek.model);
}

uint32_t count_commas(std::string_view text) {
  size_t count = 0;
  size_t at = 0;
#ifdef __SSE2__
  const __m128i zero = _mm_setzero_si128();
  __m128i counts = zero;
  for (; at + kJsonLane <= text.size(); at += kJsonLane) {
    // A found byte is -1, so that it adds one when it is subtracted.
    const __m128i found = _mm_cmpeq_epi8(json_lane(text.data() + at), _mm_set1_epi8(','));
    counts = _mm_add_epi64(counts, _mm_sad_epu8(_mm_sub_epi8(zero, found), zero));
  }
  count = static_cast<size_t>(_mm_cvtsi128_si64(counts) +
                              _mm_cvtsi128_si64(_mm_unpackhi_epi64(counts, counts)));
#endif
  for (; at < text.size(); ++at) count += text[at] == ',' ? 1 : 0;
  return static_cast<uint32_t>(count);
}

void read_prompt(std::string_view value, bool is_plain, RequestPeek& peek) {
  if (value.front() == '"') {
    peek.kind = PromptKind::kText;
    peek.prompt = inside_quotes(value);
    peek.prompt_is_plain = is_plain;
    peek.prompt_ids.reset();
  } else if (value.front() == '[') {
    peek.prompt = value;
    const bool ids = holds_ids(value);
    peek.kind = ids ? PromptKind::kTokenIds : PromptKind::kOther;
    peek.prompt_ids.reset();
    if (ids) peek.prompt_ids = count_commas(value) + 1;
  }
}

void read_messages(std::string_view value, RequestPeek& peek) {
  if (value.front() != '[') return;
  peek.prompt = value;
  peek.kind = PromptKind::kMessages;
  peek.prompt_ids.reset();
}

// A text is a message, too; other lists are prompts as for embeddings.
void read_messages_or_text(std::string_view value, bool is_plain, RequestPeek& peek) {
  const char first = value.front() == '[' ? first_of_array(value) : '"';
  first == '{' || first == '\0' ? read_messages(value, peek) : read_prompt(value, is_plain, peek);
}

void read_peeked_sampling(std::string_view value, RequestPeek& peek) {
  JsonMembers members(value);
  for (size_t count = 0; count < kRequestFieldsMax && members.next(); ++count) {
    if (members.key() == "max_tokens" || members.key() == "max_new_tokens") {
      read_count(members.value(), peek.output_tokens_max);
    }
    if (may_name_workers(members.key())) peek.names_workers = true;
  }
}

class BodyReader {
 public:
  BodyReader(RequestApi api, RequestPeek& peek) : names_(fields_of(api)), peek_(peek) {
    peek.api = api;
  }

  void read(std::string_view key, std::string_view value, bool is_plain) {
    if (key == "model") return read_model(value, peek_);
    if (key == "cache_salt") return read_text(value, peek_.cache_salt);
    if (key == "stream") {
      peek_.stream = value == "true";
      return;
    }
    for (const FieldName& name : names_) {
      if (name.name == key) return take(name, value, is_plain);
    }
    if (may_name_workers(key)) peek_.names_workers = true;
  }

  void finish() {
    if (newer_limit_) peek_.output_tokens_max = newer_limit_;
  }

 private:
  void take(const FieldName& name, std::string_view value, bool is_plain) {
    const bool has_messages = peek_.kind == PromptKind::kMessages;
    switch (name.slot) {
      case Slot::kField:
        peek_.fields[static_cast<size_t>(name.field)] =
            is_empty(value) ? std::string_view() : value;
        return;
      case Slot::kPrompt:
        if (!has_messages) read_prompt(value, is_plain, peek_);
        return;
      case Slot::kMessages:
        return read_messages(value, peek_);
      case Slot::kMessagesOrText:
        if (names_.data() == kResponseFields || !has_messages)
          read_messages_or_text(value, is_plain, peek_);
        return;
      case Slot::kOutputLimit:
        return read_count(value, peek_.output_tokens_max);
      case Slot::kNewerOutputLimit:
        return read_count(value, newer_limit_);
      case Slot::kSampling:
        return read_peeked_sampling(value, peek_);
      case Slot::kSalt:
        return read_text(value, peek_.cache_salt);
    }
  }

  const std::span<const FieldName> names_;
  RequestPeek& peek_;
  std::optional<uint32_t> newer_limit_;
};

constexpr std::string_view kInvalidBody = "error unmarshaling request bodyMap: ";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::string at_byte(std::string_view what, size_t at) {
  return std::string(what).append(" at byte ").append(std::to_string(at));
}

// The reason why the body is not understood; empty: it is.
std::string read_fields(std::string_view body, RequestApi api, RequestPeek& peek) {
  const size_t size = body.size();
  if (body.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
    body.remove_prefix(kByteOrderMark.size());
  }
  JsonCursor cursor(body);
  cursor.skip_space();
  body.remove_prefix(cursor.at());
  const size_t skipped = size - body.size();
  if (body.empty()) return "the body is empty";
  if (body.front() != '{')
    return at_byte("the body is not a JSON object: it begins otherwise", skipped);
  if (!simdjson::validate_utf8(body.data(), body.size())) return "the body is not UTF-8";
  BodyReader reader(api, peek);
  JsonMembers members(body);
  for (size_t count = 0; members.next(); ++count) {
    if (count == kRequestFieldsMax) return "the body has too many fields";
    reader.read(members.key(), members.value(), members.value_is_plain());
  }
  if (members.malformed()) return at_byte("the body is not JSON", skipped + members.at());
  JsonCursor rest(body.substr(members.at()));
  rest.skip_space();
  if (!rest.at_end()) {
    return at_byte("something follows the JSON object", skipped + members.at() + rest.at());
  }
  reader.finish();
  return {};
}

}  // namespace

std::optional<RequestPeek> peek_request(std::string_view body, RequestApi api) {
  RequestPeek peek;
  if (!read_fields(body, api, peek).empty()) return std::nullopt;
  return peek;
}

Result<RequestPeek> read_request(std::string_view body, RequestApi api) {
  RequestPeek peek;
  const std::string failure = read_fields(body, api, peek);
  if (failure.empty()) return peek;
  return Error{std::string(kInvalidBody).append(failure)};
}

}  // namespace kvasir
