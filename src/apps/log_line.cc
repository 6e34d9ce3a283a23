#include "apps/log_line.h"

#include <cmath>
#include <ctime>
#include <utility>

#include "base/text.h"
#include "wire/json/json_text.h"

namespace kvasir {
namespace {

// The head of `text` that fits, cut between characters where there are any.
std::string_view cut(std::string_view text) {
  if (text.size() <= kLoggedTextMax) return text;
  size_t end = kLoggedTextMax;
  for (int i = 0; i < 3 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80; ++i) --end;
  return text.substr(0, end);
}

constexpr ByteSet kBareBytes = letters_digits_and("._:/@-+");

bool stands_bare(std::string_view text) {
  return !text.empty() && consists_of(text, kBareBytes);
}

void append_quoted(std::string_view text, std::string& out) {
  out += '"';
  append_json_escaped(cut(text), out);
  if (text.size() > kLoggedTextMax) out += "...";
  out += '"';
}

}  // namespace

void append_log_time(WallTime time, std::string& out) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
  const auto milliseconds = static_cast<unsigned>(((since.count() % 1000) + 1000) % 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  const auto digits = [&out](int value, int count) {
    char text[8];
    for (int i = count - 1; i >= 0; --i, value /= 10) text[i] = static_cast<char>('0' + value % 10);
    out.append(text, static_cast<size_t>(count));
  };
  digits(parts.tm_year + 1900, 4);
  digits((out += '-', parts.tm_mon + 1), 2);
  digits((out += '-', parts.tm_mday), 2);
  digits((out += 'T', parts.tm_hour), 2);
  digits((out += ':', parts.tm_min), 2);
  digits((out += ':', parts.tm_sec), 2);
  digits((out += '.', static_cast<int>(milliseconds)), 3);
  out += 'Z';
}

void append_decimal(double value, std::string& out) {
  constexpr double kScale = 10'000;
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  if (std::abs(value) >= 1e12) return append_real(value, out);
  const int64_t scaled = std::llround(value * kScale);
  const uint64_t size = static_cast<uint64_t>(scaled < 0 ? -scaled : scaled);
  if (scaled < 0) out += '-';
  append_number(static_cast<int64_t>(size / 10'000), out);
  uint64_t rest = size % 10'000;
  if (rest == 0) return;
  char digits[5] = {'.', '0', '0', '0', '0'};
  for (int i = 4; i > 0; --i, rest /= 10) digits[i] = static_cast<char>('0' + rest % 10);
  size_t length = 5;
  while (digits[length - 1] == '0') --length;
  out.append(digits, length);
}

LogLine::LogLine(LogFormat format, WallTime time, std::string_view level,
                 std::string_view component, std::string_view message, std::string& out)
    : format_(format), out_(out) {
  if (json()) {
    out_ += "{\"timestamp\":\"";
    append_log_time(time, out_);
    out_ += '"';
    text("level", level);
    text("component", component);
    text("message", message);
  } else {
    append_log_time(time, out_);
    out_.append(" ").append(level).append(" ").append(component).append(": ").append(message);
  }
}

void LogLine::end() {
  out_ += json() ? "}\n" : "\n";
}

void LogLine::key(std::string_view key) {
  if (json()) {
    out_.append(",\"").append(key).append("\":");
  } else {
    out_.append(" ").append(key).append("=");
  }
}

void LogLine::value(std::string_view value) {
  if (!json() && value.size() <= kLoggedTextMax && stands_bare(value)) {
    out_ += value;
  } else {
    append_quoted(value, out_);
  }
}

void LogLine::text(std::string_view name, std::string_view text) {
  key(name);
  value(text);
}

void LogLine::number(std::string_view name, int64_t number) {
  key(name);
  append_number(number, out_);
}

void LogLine::decimal(std::string_view name, double number) {
  key(name);
  append_decimal(number, out_);
}

void LogLine::milliseconds(std::string_view name, Duration duration) {
  decimal(name, to_milliseconds(duration));
}

void LogLine::open_list(std::string_view name) {
  key(name);
  out_ += '[';
  first_ = true;
}

void LogLine::close_list() {
  out_ += ']';
}

void LogLine::separate() {
  if (!std::exchange(first_, false)) out_ += ',';
}

void LogLine::item(std::string_view text) {
  separate();
  value(text);
}

void LogLine::begin_item(std::string_view kind, std::string_view name, std::string_view profile,
                         std::string_view label) {
  separate();
  if (!json()) {
    value(profile);
    out_ += '/';
    return value(name);
  }
  out_.append("{\"").append(kind).append("\":");
  value(name);
  text("profile", profile);
  key(label);
}

void LogLine::item(std::string_view kind, std::string_view name, std::string_view profile,
                   std::string_view label, int64_t number) {
  begin_item(kind, name, profile, label);
  if (!json()) out_ += '=';
  append_number(number, out_);
  if (json()) out_ += '}';
}

void LogLine::open_item(std::string_view kind, std::string_view name, std::string_view profile,
                        std::string_view label) {
  begin_item(kind, name, profile, label);
  out_ += '{';
  first_entry_ = true;
}

void LogLine::close_item() {
  out_ += json() ? "}}" : "}";
}

void LogLine::open_map(std::string_view name) {
  key(name);
  out_ += '{';
  first_entry_ = true;
}

void LogLine::entry(std::string_view name, double number) {
  if (!std::exchange(first_entry_, false)) out_ += ',';
  value(name);
  out_ += json() ? ':' : '=';
  append_decimal(number, out_);
}

void LogLine::close_map() {
  out_ += '}';
}

}  // namespace kvasir
