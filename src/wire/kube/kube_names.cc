#include "wire/kube/kube_names.h"

#include <arpa/inet.h>

#include <charconv>
#include <chrono>
#include <string>

#include "base/text.h"

namespace kvasir {
namespace {

constexpr size_t kLabelBytesMost = 63;
constexpr size_t kNameBytesMost = 253;

bool is_dns_letter(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z');
}

bool is_letter_or_digit(char c) {
  return is_letter(c) || is_digit(c);
}

// Takes `digits` digits and, unless it is 0, the byte behind them.
std::optional<int> take_number(std::string_view& text, size_t digits, char behind) {
  int number = 0;
  if (text.size() < digits) return std::nullopt;
  for (size_t i = 0; i < digits; ++i) {
    if (!is_digit(text[i])) return std::nullopt;
    number = number * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  if (behind == '\0') return number;
  if (text.empty() || text[0] != behind) return std::nullopt;
  text.remove_prefix(1);
  return number;
}

// "Z" or "+01:00".
std::optional<int> offset_minutes(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  if (text.empty() || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  const int sign = text[0] == '-' ? -1 : 1;
  text.remove_prefix(1);
  const auto hours = take_number(text, 2, ':');
  const auto minutes = take_number(text, 2, '\0');
  if (!hours || !minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
  return sign * (*hours * 60 + *minutes);
}

}  // namespace

bool is_dns_label(std::string_view name) {
  if (name.empty() || name.size() > kLabelBytesMost) return false;
  for (const char c : name) {
    if (!is_dns_letter(c) && c != '-') return false;
  }
  return name.front() != '-' && name.back() != '-';
}

bool is_dns_subdomain(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMost) return false;
  char before = '.';
  for (const char c : name) {
    const bool at_edge = before == '.' || (before == '-' && c == '.');
    if (!is_dns_letter(c) && (at_edge || (c != '-' && c != '.'))) return false;
    before = c;
  }
  return is_dns_letter(before);
}

bool is_label_value(std::string_view value) {
  static constexpr ByteSet kBytes = letters_digits_and("-_.");
  if (value.empty()) return true;
  return value.size() <= kLabelBytesMost && consists_of(value, kBytes) &&
         is_letter_or_digit(value.front()) && is_letter_or_digit(value.back());
}

bool is_label_key(std::string_view key) {
  const size_t slash = key.find('/');
  if (slash != std::string_view::npos) {
    if (!is_dns_subdomain(key.substr(0, slash))) return false;
    key.remove_prefix(slash + 1);
  }
  return !key.empty() && is_label_value(key);
}

bool is_ip_address(std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) return false;
  const std::string address(text);
  in6_addr bytes{};
  return inet_pton(AF_INET, address.c_str(), &bytes) == 1 ||
         inet_pton(AF_INET6, address.c_str(), &bytes) == 1;
}

std::optional<int64_t> rfc3339_seconds(std::string_view text) {
  const auto year = take_number(text, 4, '-');
  const auto month = take_number(text, 2, '-');
  const auto day = take_number(text, 2, 'T');
  const auto hour = take_number(text, 2, ':');
  const auto minute = take_number(text, 2, ':');
  const auto second = take_number(text, 2, '\0');
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (*hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  if (!text.empty() && text[0] == '.') {
    text.remove_prefix(1);
    if (text.empty() || !is_digit(text[0])) return std::nullopt;
    while (!text.empty() && is_digit(text[0])) text.remove_prefix(1);
  }
  const auto offset = offset_minutes(text);
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!offset || !date.ok()) return std::nullopt;
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return days * 86'400 + (*hour * 60 + *minute - *offset) * 60 + *second;
}

}  // namespace kvasir
