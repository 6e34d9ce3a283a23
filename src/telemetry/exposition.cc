#include "telemetry/exposition.h"

#include <charconv>
#include <cmath>
#include <cstdint>

namespace kvasir {
namespace {

// Fixed notation for exponents from here to there, exclusive.
constexpr int kFixedMin = -4;
constexpr int kFixedMax = 6;
constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// Bytes of the well-formed UTF-8 sequence that `text` begins with; 0: it begins with none.
size_t sequence_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool outside = (first == 0xed && byte(1) > 0x9f) || (first == 0xf4 && byte(1) > 0x8f);
  return overlong || outside ? 0 : length;
}

void append_escaped(std::string_view text, std::string& result) {
  while (!text.empty()) {
    const char c = text.front();
    const size_t length = sequence_length(text);
    if (length == 0) {
      result += kReplacement;
    } else if (c == '\n') {
      result += "\\n";
    } else {
      if (c == '\\' || c == '"') result += '\\';
      result.append(text.substr(0, length));
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
}

}  // namespace

std::string exposition_number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char buffer[64];
  const auto print = [&](std::chars_format format) {
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, format).ptr;
    return std::string_view(buffer, static_cast<size_t>(end - buffer));
  };
  const std::string_view scientific = print(std::chars_format::scientific);
  int exponent = 0;
  const char* digits = scientific.data() + scientific.rfind('e') + 1;
  std::from_chars(digits + (*digits == '+' ? 1 : 0), scientific.data() + scientific.size(),
                  exponent);
  const bool fixed = exponent >= kFixedMin && exponent < kFixedMax;
  return std::string(fixed ? print(std::chars_format::fixed) : scientific);
}

std::string exposition_labels(const std::vector<std::pair<std::string, std::string>>& labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    if (!text.empty()) text += ',';
    text.append(name).append("=\"");
    append_escaped(value, text);
    text += '"';
  }
  return text;
}

void append_exposition_head(std::string_view name, std::string_view help, std::string_view type,
                            std::string& text) {
  text.append("# HELP ").append(name).append(" ");
  for (const char c : help) {
    if (c == '\n') {
      text += "\\n";
    } else {
      if (c == '\\') text += '\\';
      text += c;
    }
  }
  text.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
}

void append_exposition_line(std::string_view name, std::string_view suffix, std::string_view labels,
                            std::string_view value, std::string& text) {
  text.append(name).append(suffix);
  if (!labels.empty()) text.append("{").append(labels).append("}");
  text.append(" ").append(value).append("\n");
}

}  // namespace kvasir
