#include "wire/request_peek.h"

#include <simdjson.h>

#include <algorithm>

namespace kvasir {
namespace {

namespace json = simdjson::ondemand;

// Without the white space that raw tokens carry behind them.
std::string_view trimmed(std::string_view text) {
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
  return text;
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

bool read_field(std::string_view key, json::value& value, RequestPeek& peek) {
  if (key == "model") return read_text(value, peek.model);
  if (key == "cache_salt") return read_text(value, peek.cache_salt);
  if (key == "prompt") return read_prompt(value, peek);
  if (key == "messages") return read_messages(value, peek);
  if (key == "stream") peek.stream = trimmed(value.raw_json_token()) == "true";
  return true;
}

}  // namespace

class RequestPeeker::Parser {
 public:
  json::parser parser;
};

RequestPeeker::RequestPeeker() : parser_(std::make_unique<Parser>()) {}
RequestPeeker::~RequestPeeker() = default;

std::optional<RequestPeek> RequestPeeker::peek(std::string_view body) {
  static_assert(simdjson::SIMDJSON_PADDING <= 64, "request buffers end in 64 readable bytes");
  json::document document;
  json::object object;
  const size_t readable = body.size() + simdjson::SIMDJSON_PADDING;
  if (body.empty() ||
      parser_->parser.iterate(body.data(), body.size(), readable).get(document) != simdjson::SUCCESS ||
      document.get_object().get(object) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  RequestPeek peek;
  for (auto field : object) {
    std::string_view key;
    json::value value;
    if (field.unescaped_key().get(key) != simdjson::SUCCESS ||
        field.value().get(value) != simdjson::SUCCESS || !read_field(key, value, peek)) {
      return std::nullopt;
    }
  }
  const char* rest = nullptr;  // an error says that nothing follows
  if (document.current_location().get(rest) == simdjson::SUCCESS) return std::nullopt;
  return peek;
}

}  // namespace kvasir
