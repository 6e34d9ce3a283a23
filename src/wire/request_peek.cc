#include "wire/request_peek.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace kvasir {
namespace {

namespace json = simdjson::ondemand;

// Without the white space that raw tokens carry behind them.
std::string_view trimmed(std::string_view text) {
  return text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
}

std::string_view inside_quotes(std::string_view token) {
  token = trimmed(token);
  return token.size() >= 2 ? token.substr(1, token.size() - 2) : std::string_view();
}

bool is_id_list(std::string_view array) {
  const size_t first = array.find_first_not_of(" \t\r\n", 1);
  return first != std::string_view::npos && array[first] >= '0' && array[first] <= '9';
}

// Each returns false when the value is malformed.
bool read_text(json::value& value, std::string& text) {
  json::json_type type;
  if (value.type().get(type) != simdjson::SUCCESS) return false;
  if (type != json::json_type::string) return true;
  std::string_view found;
  if (value.get_string().get(found) != simdjson::SUCCESS) return false;
  text = found;
  return true;
}

bool read_prompt(json::value& value, RequestPeek& peek) {
  json::json_type type;
  if (value.type().get(type) != simdjson::SUCCESS) return false;
  if (type == json::json_type::string) {
    peek.kind = PromptKind::kText;
    peek.prompt = inside_quotes(value.raw_json_token());
    return true;
  }
  if (type != json::json_type::array) return true;
  json::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) return false;
  if (array.raw_json().get(peek.prompt) != simdjson::SUCCESS) return false;
  peek.prompt = trimmed(peek.prompt);
  if (is_id_list(peek.prompt)) {
    peek.kind = PromptKind::kTokenIds;
    peek.prompt_ids =
        static_cast<uint32_t>(std::count(peek.prompt.begin(), peek.prompt.end(), ',') + 1);
  }
  return true;
}

bool read_messages(json::value& value, RequestPeek& peek) {
  json::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) return true;
  if (array.raw_json().get(peek.prompt) != simdjson::SUCCESS) return false;
  peek.prompt = trimmed(peek.prompt);
  peek.kind = PromptKind::kMessages;
  return true;
}

// A text's characters, or another value as it stands.
bool read_raw(json::value& value, std::string_view& raw) {
  json::json_type type;
  if (value.type().get(type) != simdjson::SUCCESS) return false;
  if (type == json::json_type::array) {
    json::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS ||
        array.raw_json().get(raw) != simdjson::SUCCESS) {
      return false;
    }
    raw = trimmed(raw);
  } else if (type == json::json_type::string) {
    raw = inside_quotes(value.raw_json_token());
  }
  return true;
}

bool read_model(json::value& value, RequestPeek& peek) {
  json::json_type type;
  if (value.type().get(type) != simdjson::SUCCESS) return false;
  if (type == json::json_type::object || type == json::json_type::array) return true;
  peek.model_json = trimmed(value.raw_json_token());
  return read_text(value, peek.model);
}

void read_count(json::value& value, std::optional<uint32_t>& count) {
  const std::string_view digits = trimmed(value.raw_json_token());
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error == std::errc() && end == digits.data() + digits.size()) count = number;
}

// Of vLLM's and SGLang's generate: the limit stands in an object of its own.
bool read_sampling(json::value& value, RequestPeek& peek) {
  json::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) return true;
  for (auto field : object) {
    std::string_view key;
    json::value inner;
    if (field.unescaped_key().get(key) != simdjson::SUCCESS ||
        field.value().get(inner) != simdjson::SUCCESS) {
      return false;
    }
    if (key == "max_tokens" || key == "max_new_tokens") read_count(inner, peek.output_tokens_max);
  }
  return true;
}

// --- Where each API has what
// -----------------------------------------------------------------------

// Names of fields; one that an API does not have is null.
struct FieldNames {
  const char* prompt;  // a text or token ids
  const char* other_prompt;
  const char* messages;  // a list of messages or items, or a text
  const char* head;
  const char* output_limit;
  const char* newer_output_limit;  // wins
  const char* sampling;
};

constexpr FieldNames kFieldNames[] = {
    /* kUnknown */ {"prompt", nullptr, "messages", nullptr, "max_tokens", "max_completion_tokens",
                    nullptr},
    /* kCompletions */ {"prompt", nullptr, nullptr, nullptr, "max_tokens", nullptr, nullptr},
    /* kChatCompletions */
    {nullptr, nullptr, "messages", nullptr, "max_tokens", "max_completion_tokens", nullptr},
    /* kEmbeddings */ {"input", nullptr, "messages", nullptr, nullptr, nullptr, nullptr},
    /* kResponses */
    {nullptr, nullptr, "input", "instructions", "max_output_tokens", nullptr, nullptr},
    /* kConversations */ {nullptr, nullptr, "items", nullptr, nullptr, nullptr, nullptr},
    /* kAnthropicMessages */
    {nullptr, nullptr, "messages", "system", "max_tokens", nullptr, nullptr},
    /* kVllmGenerate */
    {"token_ids", "prompt_token_ids", nullptr, nullptr, nullptr, nullptr, "sampling_params"},
    /* kSglangGenerate */
    {"text", "input_ids", nullptr, nullptr, nullptr, nullptr, "sampling_params"},
    /* kOpaque */ {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr},
};
static_assert(std::size(kFieldNames) == static_cast<size_t>(RequestApi::kOpaque) + 1);

bool is(std::string_view key, const char* name) {
  return name != nullptr && key == name;
}

bool read_messages_or_text(json::value& value, RequestPeek& peek) {
  json::json_type type;
  if (value.type().get(type) != simdjson::SUCCESS) return false;
  if (type != json::json_type::string) return read_messages(value, peek);
  return read_prompt(value, peek);
}

class FieldReader {
 public:
  FieldReader(RequestApi api, RequestPeek& peek)
      : api_(api), names_(kFieldNames[static_cast<size_t>(api)]), peek_(peek) {}

  // False when the value is malformed.
  bool read(std::string_view key, json::value& value) {
    if (key == "model") return read_model(value, peek_);
    if (key == "cache_salt") return read_text(value, peek_.cache_salt);
    if (key == "stream") {
      peek_.stream = trimmed(value.raw_json_token()) == "true";
      return true;
    }
    if (is(key, names_.prompt) || is(key, names_.other_prompt)) return read_prompt(value, peek_);
    if (is(key, names_.messages)) {
      return api_ == RequestApi::kResponses ? read_messages_or_text(value, peek_)
                                            : read_messages(value, peek_);
    }
    if (is(key, names_.head)) return read_raw(value, peek_.prompt_head);
    if (is(key, names_.sampling)) return read_sampling(value, peek_);
    if (is(key, names_.newer_output_limit)) {
      read_count(value, newer_limit_);
    } else if (is(key, names_.output_limit)) {
      read_count(value, peek_.output_tokens_max);
    }
    return true;
  }

  void finish() {
    if (newer_limit_) peek_.output_tokens_max = newer_limit_;
  }

 private:
  const RequestApi api_;
  const FieldNames& names_;
  RequestPeek& peek_;
  std::optional<uint32_t> newer_limit_;
};

constexpr std::string_view kInvalidBody = "error unmarshaling request bodyMap: ";

}  // namespace

class RequestPeeker::Parser {
 public:
  simdjson::error_code read(std::string_view body, RequestApi api, RequestPeek& peek) {
    static_assert(simdjson::SIMDJSON_PADDING <= 64, "request buffers end in 64 readable bytes");
    if (body.empty()) return simdjson::EMPTY;
    json::document document;
    json::object object;
    const size_t readable = body.size() + simdjson::SIMDJSON_PADDING;
    auto failure = parser_.iterate(body.data(), body.size(), readable).get(document);
    if (failure != simdjson::SUCCESS) return failure;
    failure = document.get_object().get(object);
    if (failure != simdjson::SUCCESS) return failure;
    FieldReader reader(api, peek);
    for (auto field : object) {
      std::string_view key;
      json::value value;
      failure = field.unescaped_key().get(key);
      if (failure != simdjson::SUCCESS) return failure;
      failure = field.value().get(value);
      if (failure != simdjson::SUCCESS) return failure;
      if (!reader.read(key, value)) return simdjson::TAPE_ERROR;
    }
    const char* rest = nullptr;  // an error says that nothing follows
    if (document.current_location().get(rest) == simdjson::SUCCESS)
      return simdjson::TRAILING_CONTENT;
    reader.finish();
    return simdjson::SUCCESS;
  }

 private:
  json::parser parser_;
};

RequestPeeker::RequestPeeker() : parser_(std::make_unique<Parser>()) {}
RequestPeeker::~RequestPeeker() = default;

std::optional<RequestPeek> RequestPeeker::peek(std::string_view body, RequestApi api) {
  RequestPeek peek;
  if (parser_->read(body, api, peek) != simdjson::SUCCESS) return std::nullopt;
  return peek;
}

Result<RequestPeek> RequestPeeker::read(std::string_view body, RequestApi api) {
  RequestPeek peek;
  const simdjson::error_code failure = parser_->read(body, api, peek);
  if (failure == simdjson::SUCCESS) return peek;
  return Error{std::string(kInvalidBody) + simdjson::error_message(failure)};
}

}  // namespace kvasir
