#include "wire/kv_transfer/usage_stream.h"

#include "base/integer_text.h"
#include "wire/json/json_edit.h"

namespace kvasir {
namespace {

constexpr std::string_view kUsage = "usage";
constexpr std::string_view kQuotedUsage = "\"usage\"";
constexpr std::string_view kPromptDetails = "prompt_tokens_details";
constexpr std::string_view kCachedTokens = "cached_tokens";
constexpr std::string_view kCompletionTokens = "completion_tokens";
constexpr std::string_view kEventData = "data:";

bool is_object(std::optional<std::string_view> value) {
  return value && !value->empty() && value->front() == '{';
}

// A member set in an object; nullopt: it is none.
std::optional<std::string> with_member(std::string_view object, std::string_view key,
                                       std::string_view value) {
  const std::string_view keys[] = {key};
  const Result<JsonEditor> editor = JsonEditor::read(object, keys);
  if (!editor) return std::nullopt;
  const JsonEdit edits[] = {{key, value}};
  return editor->write(edits);
}

// The value of a member that is an object.
std::optional<std::string_view> object_in(std::string_view object, std::string_view key) {
  const std::string_view keys[] = {key};
  const Result<JsonEditor> editor = JsonEditor::read(object, keys);
  if (!editor || !is_object(editor->find(key))) return std::nullopt;
  return editor->find(key);
}

std::optional<uint64_t> number_in(std::optional<std::string_view> object, std::string_view key) {
  if (!object) return std::nullopt;
  const std::string_view keys[] = {key};
  const Result<JsonEditor> editor = JsonEditor::read(*object, keys);
  return editor ? integer_of<uint64_t>(editor->find(key).value_or("")) : std::nullopt;
}

}  // namespace

std::optional<std::string> with_cached_tokens(std::string_view json, uint64_t cached_tokens) {
  const auto usage = object_in(json, kUsage);
  if (!usage) return std::nullopt;
  const auto details = with_member(object_in(*usage, kPromptDetails).value_or("{}"), kCachedTokens,
                                   std::to_string(cached_tokens));
  if (!details) return std::nullopt;
  const auto edited = with_member(*usage, kPromptDetails, *details);
  return edited ? with_member(json, kUsage, *edited) : std::nullopt;
}

std::optional<uint64_t> completion_tokens_of(std::string_view json) {
  return number_in(object_in(json, kUsage), kCompletionTokens);
}

std::optional<uint64_t> cached_tokens_of(std::string_view usage) {
  return number_in(object_in(usage, kPromptDetails), kCachedTokens);
}

std::string_view UsageStream::feed(std::string_view bytes) {
  if (bytes.empty()) return bytes;
  const bool is_plain = bytes.back() == '\n' && bytes.find(kQuotedUsage) == std::string_view::npos;
  if (held_.empty() && (passes_ || is_plain)) return bytes;
  held_ += bytes;
  out_.clear();
  const size_t lines = held_.rfind('\n') + 1;  // 0: none is complete
  edit_lines(std::string_view(held_).substr(0, lines));
  held_.erase(0, lines);
  if (held_.size() > kLineBytesMost) {
    passes_ = true;
    out_ += held_;
    held_ = std::string();
  }
  return out_;
}

std::string_view UsageStream::rest() {
  out_ = std::move(held_);
  held_.clear();
  return out_;
}

void UsageStream::edit_lines(std::string_view lines) {
  if (lines.find(kQuotedUsage) == std::string_view::npos) return out_.append(lines), void();
  while (!lines.empty()) {
    const size_t end = lines.find('\n') + 1;
    edit_line(lines.substr(0, end));
    lines.remove_prefix(end);
  }
}

void UsageStream::edit_line(std::string_view line) {
  const bool has_usage =
      line.starts_with(kEventData) && line.find(kQuotedUsage) != std::string_view::npos;
  if (!has_usage) return out_.append(line), void();
  std::string_view json = line.substr(kEventData.size());
  const size_t end = json.find_last_not_of("\r\n") + 1;
  const std::string_view line_end = json.substr(end);
  json = json.substr(0, end);
  if (const auto tokens = completion_tokens_of(json)) completion_tokens_ = tokens;
  const auto edited = cached_tokens_ ? with_cached_tokens(json, *cached_tokens_) : std::nullopt;
  if (!edited) return out_.append(line), void();
  out_.append(kEventData).append(*edited).append(line_end);
}

}  // namespace kvasir
