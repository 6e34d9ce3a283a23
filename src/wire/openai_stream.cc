#include "wire/openai_stream.h"

#include <simdjson.h>

namespace kvasir {
namespace {

using Json = simdjson::dom::element;
using simdjson::SUCCESS;

// ---- the scan

// Walks the strings of a JSON text. Quotes inside strings are always escaped, so a string that is
// followed by a colon is a key, at whatever depth.
class StringWalk {
 public:
  explicit StringWalk(std::string_view json) : json_(json) {}

  // Moves to the next key; false at the end.
  bool next_key(std::string_view& key) {
    while (next_string(key)) {
      skip_spaces();
      if (at_ < json_.size() && json_[at_] == ':') {
        ++at_;
        skip_spaces();
        return true;
      }
    }
    return false;
  }

  // The first character of the value of the key just found; 0 at the end of the text.
  char value_begin() const { return at_ < json_.size() ? json_[at_] : '\0'; }

  // The bytes between the quotes of the next string, which may contain escapes; false at the end.
  bool next_string(std::string_view& bytes) {
    const size_t open = json_.find('"', at_);
    if (open == std::string_view::npos) return false;
    for (size_t at = open + 1; at < json_.size(); ++at) {
      if (json_[at] == '\\') {
        ++at;
      } else if (json_[at] == '"') {
        bytes = json_.substr(open + 1, at - open - 1);
        at_ = at + 1;
        return true;
      }
    }
    return false;
  }

 private:
  void skip_spaces() {
    while (at_ < json_.size() && (json_[at_] == ' ' || json_[at_] == '\n' || json_[at_] == '\t'))
      ++at_;
  }

  std::string_view json_;
  size_t at_ = 0;
};

bool is_text_key(std::string_view key) {
  return key == "text" || key == "content";
}

// Whether a value under `key` asks for the full parser when it is not null.
bool is_rare_key(std::string_view key) {
  return key == "usage" || key == "error" || key == "finish_reason" || key == "logprobs" ||
         key == "object" || key == "tool_calls";
}

// The text of an event that brings only text; nullopt: parse it in full.
std::optional<std::string> scan_text(std::string_view data) {
  std::string text;
  bool chunk = false;
  StringWalk walk(data);
  std::string_view key, value;
  while (walk.next_key(key)) {
    const char begin = walk.value_begin();
    if (is_text_key(key) && begin == '"') {
      if (!walk.next_string(value)) return std::nullopt;
      if (value.find('\\') != std::string_view::npos) return std::nullopt;
      text += value;
    } else if (key == "object") {
      if (begin != '"' || !walk.next_string(value) || value == "error") return std::nullopt;
    } else if (is_rare_key(key) && begin != 'n') {
      return std::nullopt;
    }
    chunk = chunk || key == "choices";
  }
  if (!chunk) return std::nullopt;
  return text;
}

// ---- the full parse

std::string string_at(const Json& object, const char* key) {
  std::string_view text;
  if (object[key].get(text) != SUCCESS) return {};
  return std::string(text);
}

uint64_t count_at(const Json& object, const char* key) {
  uint64_t count = 0;
  if (object[key].get(count) != SUCCESS) return 0;
  return count;
}

std::optional<TokenUsage> read_usage(const Json& answer) {
  Json usage;
  if (answer["usage"].get(usage) != SUCCESS || !usage.is_object()) return std::nullopt;
  TokenUsage result;
  result.prompt_tokens = count_at(usage, "prompt_tokens");
  result.completion_tokens = count_at(usage, "completion_tokens");
  uint64_t cached = 0;
  if (usage["prompt_tokens_details"]["cached_tokens"].get(cached) == SUCCESS) {
    result.cached_tokens = cached;
  }
  return result;
}

std::string code_of(const Json& error) {
  int64_t number = 0;
  if (error["code"].get(number) == SUCCESS) return std::to_string(number);
  return string_at(error, "code");
}

// {"error": {...}}, {"error": "words"} and the older {"object": "error", "message": ...}.
std::optional<AnswerError> read_error(const Json& answer) {
  Json error;
  if (answer["error"].get(error) == SUCCESS && !error.is_null()) {
    if (!error.is_object()) return AnswerError{string_at(answer, "error"), {}, {}};
  } else if (string_at(answer, "object") == "error") {
    error = answer;
  } else {
    return std::nullopt;
  }
  return AnswerError{string_at(error, "message"), string_at(error, "type"), code_of(error)};
}

void read_choice(const Json& choice, AnswerPart& part) {
  if (!choice.is_object()) return;
  part.text += string_at(choice, "text");
  for (const char* message : {"delta", "message"}) {
    Json inner;
    if (choice[message].get(inner) == SUCCESS) part.text += string_at(inner, "content");
  }
  std::string reason = string_at(choice, "finish_reason");
  if (!reason.empty()) part.finish_reason = std::move(reason);
}

}  // namespace

Result<AnswerPart> parse_answer(std::string_view json) {
  simdjson::dom::parser parser;
  Json answer;
  const auto failure = parser.parse(json.data(), json.size()).get(answer);
  if (failure != SUCCESS) {
    return Error{std::string("not valid JSON: ") + simdjson::error_message(failure)};
  }
  if (!answer.is_object()) return Error{"not a JSON object"};
  AnswerPart part;
  part.usage = read_usage(answer);
  part.error = read_error(answer);
  simdjson::dom::array choices;
  if (answer["choices"].get(choices) == SUCCESS) {
    for (const Json& choice : choices) read_choice(choice, part);
  }
  return part;
}

Result<AnswerPart> read_stream_event(std::string_view data) {
  AnswerPart part;
  if (data == "[DONE]") {
    part.done = true;
    return part;
  }
  std::optional<std::string> text = scan_text(data);
  if (!text) return parse_answer(data);
  part.text = std::move(*text);
  return part;
}

}  // namespace kvasir
