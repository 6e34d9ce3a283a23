#include "handoff/first_token.h"

#include "wire/json/json_cursor.h"
#include "wire/json/json_edit.h"
#include "wire/json/json_text.h"
#include "wire/openai_stream.h"

namespace kvasir {
namespace {

constexpr std::string_view kAnswerKeys[] = {"id", "created", "model", "choices"};
constexpr std::string_view kChoiceKeys[] = {"text", "message", "finish_reason"};
constexpr std::string_view kMessageKeys[] = {"content"};
constexpr std::string_view kDataField = "data:";
constexpr std::string_view kHalfCharacter = "\xef\xbf\xbd";  // U+FFFD

// Of the first choice; empty: there is none, or the answer ends with it.
std::string token_text(std::string_view choices, bool is_chat) {
  JsonElements elements(choices);
  if (!elements.next()) return "";
  const Result<JsonEditor> choice = JsonEditor::read(elements.value(), kChoiceKeys);
  if (!choice || choice->find("finish_reason") != "\"length\"") return "";
  std::string_view text = choice->find("text").value_or("");
  if (is_chat) {
    const Result<JsonEditor> message =
        JsonEditor::read(choice->find("message").value_or(""), kMessageKeys);
    text = message ? message->find("content").value_or("") : "";
  }
  if (text.size() <= 2 || text.front() != '"') return "";
  return json_unescaped(text.substr(1, text.size() - 2));
}

}  // namespace

std::optional<FirstToken> FirstToken::read(RequestApi api, std::string_view answer) {
  const Result<JsonEditor> members = JsonEditor::read(answer, kAnswerKeys);
  if (!members) return std::nullopt;
  FirstToken token;
  token.is_chat_ = api == RequestApi::kChatCompletions;
  token.id_ = members->find("id").value_or("null");
  token.created_ = members->find("created").value_or("0");
  token.model_ = members->find("model").value_or("null");
  token.text_ = token_text(members->find("choices").value_or(""), token.is_chat_);
  const bool is_whole = token.text_.find(kHalfCharacter) == std::string::npos;
  if (token.text_.empty() || !is_whole) return std::nullopt;
  return token;
}

std::string FirstToken::events() const {
  if (!is_chat_) return event(text_, "");
  std::string role =
      "data: {\"id\":" + id_ + ",\"object\":\"chat.completion.chunk\",\"created\":" + created_ +
      ",\"model\":" + model_ +
      ",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
      "\"finish_reason\":null}]}\n\n";
  return role + event(text_, "");
}

std::string FirstToken::event(std::string_view text, std::string_view finish_reason) const {
  std::string json = "data: {\"id\":" + id_ + ",\"object\":\"";
  json += is_chat_ ? "chat.completion.chunk" : "text_completion";
  json += "\",\"created\":" + created_ + ",\"model\":" + model_ + ",\"choices\":[{\"index\":0,";
  json += is_chat_ ? "\"delta\":{\"content\":" : "\"text\":";
  append_json_string(text, json);
  if (is_chat_) json += "}";
  json += ",\"finish_reason\":";
  finish_reason.empty() ? void(json += "null") : append_json_string(finish_reason, json);
  return json + "}]}\n\n";
}

std::optional<std::string_view> FirstToken::feed(std::string_view bytes) {
  if (is_over_ && held_.empty()) return bytes;
  held_ += bytes;
  out_.clear();
  while (!is_over_) {
    const size_t end = held_.find('\n');
    if (end == std::string::npos) break;
    const std::string line = held_.substr(0, end + 1);
    held_.erase(0, end + 1);
    const Line what = read_line(line);
    if (what == Line::kOther) return std::nullopt;
    if (what == Line::kKept) out_ += line;
  }
  if (held_.size() > kHeldBytesMost) return std::nullopt;
  if (is_over_ && !drops_blank_line_) {
    out_ += held_;
    held_.clear();
  }
  return out_;
}

FirstToken::Line FirstToken::read_line(std::string_view line) {
  const std::string_view text = line.substr(0, line.find_last_not_of("\r\n") + 1);
  if (text.empty() && drops_blank_line_) {
    drops_blank_line_ = false;
    is_over_ = repeated_ == text_.size();
    return Line::kDropped;
  }
  if (!text.starts_with(kDataField)) return Line::kKept;
  const Result<AnswerPart> part = read_stream_event(text.substr(kDataField.size()));
  if (!part) return Line::kOther;
  if (part->error || part->done) {
    is_over_ = true;
    return Line::kKept;
  }
  const std::string_view left = std::string_view(text_).substr(repeated_);
  const size_t both = std::min(left.size(), part->text.size());
  const bool says_other = part->text.substr(0, both) != left.substr(0, both) ||
                          (!part->finish_reason.empty() && both < left.size());
  if (says_other) return Line::kOther;
  repeated_ += both;
  drops_blank_line_ = true;
  const std::string_view more = std::string_view(part->text).substr(both);
  if (!more.empty() || !part->finish_reason.empty()) out_ += event(more, part->finish_reason);
  return Line::kDropped;
}

}  // namespace kvasir
