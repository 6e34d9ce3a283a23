#include <algorithm>

#include "base/assert.h"
#include "vllm/field_reader.h"
#include "wire/json/json_text.h"

namespace kvasir {
namespace {

constexpr size_t kInputCharactersMax = 200;
constexpr size_t kLineCharactersMax = 1000;

std::string counted(std::string_view what, size_t count) {
  return std::string("<")
      .append(what)
      .append(" of ")
      .append(std::to_string(count))
      .append(" items>");
}

// Python's str() of a value, shortened where it could be long.
std::string input_text(const JsonValue& value) {
  if (value.is_null()) return "None";
  if (const bool* boolean = value.boolean()) return *boolean ? "True" : "False";
  if (const WideInt* integer = value.integer()) return to_text(*integer);
  if (const JsonArray* array = value.array()) return counted("list", array->size());
  if (const JsonObject* object = value.object()) return counted("dict", object->size());
  if (const double* real = value.real()) {
    std::string text;
    append_real(*real, text);
    return text;
  }
  const std::string& text = *value.string();
  if (text.size() <= kInputCharactersMax) return text;
  return text.substr(0, kInputCharactersMax) + "...[truncated]";
}

// Python's repr() of a string, as far as the cases at hand need it.
std::string quoted(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const bool has_double = text.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string result(1, quote);
  for (const char byte : text) {
    if (byte == quote || byte == '\\') result.push_back('\\');
    if (byte == '\n') {
      result.append("\\n");
    } else {
      result.push_back(byte);
    }
  }
  result.push_back(quote);
  return result;
}

}  // namespace

void FieldErrors::add(std::string_view type, std::string location, std::string_view message,
                      const JsonValue& input) {
  add_line(type, std::move(location), message, input_text(input));
}

void FieldErrors::add_missing(std::string location, const JsonObject& within) {
  add_line("missing", std::move(location), "Field required", counted("dict", within.size()));
}

void FieldErrors::add_line(std::string_view type, std::string location, std::string_view message,
                           const std::string& input) {
  if (count_++ == 0) param_ = location;
  if (lines_.size() == kLinesMax) return;
  std::string line = "{'type': " + quoted(type) + ", 'loc': " + quoted(location) +
                     ", 'msg': " + quoted(message) + ", 'input': " + quoted(input) + "}";
  if (line.size() > kLineCharactersMax) line.resize(kLineCharactersMax);
  lines_.push_back(std::move(line));
}

void FieldErrors::append(const FieldErrors& later) {
  if (later.empty()) return;
  if (empty()) param_ = later.param_;
  count_ += later.count_;
  const size_t room = kLinesMax - lines_.size();
  const size_t taken = std::min(room, later.lines_.size());
  lines_.insert(lines_.end(), later.lines_.begin(),
                later.lines_.begin() + static_cast<std::ptrdiff_t>(taken));
}

ApiError FieldErrors::to_error() const {
  KVASIR_ASSERT(!empty(), "something was refused");
  std::string message = std::to_string(count_);
  message.append(count_ == 1 ? " validation error:" : " validation errors:");
  for (const std::string& line : lines_) message.append("\n  ").append(line);
  if (count_ > lines_.size()) {
    message.append("\n  ...and ")
        .append(std::to_string(count_ - lines_.size()))
        .append(" more errors");
  }
  return validation_error(param_, std::move(message));
}

}  // namespace kvasir
