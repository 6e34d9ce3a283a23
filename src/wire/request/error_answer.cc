#include "wire/request/error_answer.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/text.h"

namespace kvasir {
namespace {

constexpr size_t kBytesLookedAt = 512;
constexpr std::string_view kWord = "error";

void skip_white_space(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(kJsonSpace), text.size()));
}

// Takes a JSON string from the front and returns what is between its quotes, as it is spelled.
std::optional<std::string_view> take_string(std::string_view& text) {
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      const std::string_view content = text.substr(1, i - 1);
      text.remove_prefix(i + 1);
      return content;
    }
  }
  return std::nullopt;
}

// Takes a member's value from the front. False: its end is not there.
bool skip_value(std::string_view& text) {
  size_t depth = 0;
  while (!text.empty()) {
    const char c = text.front();
    if (c == '"') {
      if (!take_string(text)) return false;
      continue;
    }
    if (depth == 0 && (c == ',' || c == '}')) return true;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') {
      if (depth == 0) return false;
      --depth;
    }
    text.remove_prefix(1);
  }
  return false;
}

bool says_error(std::string_view key, std::string_view value) {
  if (key == "object" || key == "type") return value.starts_with("\"error\"");
  if (key != "error") return false;
  if (value.starts_with('"')) return value.size() > 1 && value[1] != '"';
  return value.starts_with('{') || value.starts_with("true");  // null and false: there is none
}

bool is_error_object(std::string_view text) {
  if (!text.starts_with('{')) return false;
  do {
    text.remove_prefix(1);  // the brace, or the comma
    skip_white_space(text);
    if (!text.starts_with('"')) return false;
    const std::optional<std::string_view> key = take_string(text);
    skip_white_space(text);
    if (!key || !text.starts_with(':')) return false;
    text.remove_prefix(1);
    skip_white_space(text);
    if (says_error(*key, text)) return true;
    if (!skip_value(text)) return false;
  } while (text.starts_with(','));
  return false;
}

// Takes "NAME:" and the white space behind it from the front.
bool take_field(std::string_view& text, std::string_view name) {
  if (!text.starts_with(name) || !text.substr(name.size()).starts_with(':')) return false;
  text.remove_prefix(name.size() + 1);
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return true;
}

}  // namespace

bool is_error_answer(std::string_view first_bytes) {
  std::string_view text = first_bytes.substr(0, kBytesLookedAt);
  // Every error has the word somewhere; few other answers do.
  if (memmem(text.data(), text.size(), kWord.data(), kWord.size()) == nullptr) return false;
  // The lines of an event before its data; a line without a name is a comment.
  for (skip_white_space(text); !text.empty(); skip_white_space(text)) {
    if (take_field(text, "data")) break;
    const bool names_event = take_field(text, "event");
    if (!names_event && !take_field(text, "") && !take_field(text, "id") &&
        !take_field(text, "retry")) {
      break;
    }
    const std::string_view line = text.substr(0, text.find_first_of("\r\n"));
    if (names_event && line == "error") return true;
    text.remove_prefix(line.size());
  }
  skip_white_space(text);
  return is_error_object(text);
}

}  // namespace kvasir
