#include "telemetry/log_encoding.h"

#include <cstdio>

namespace kvasir {
namespace {

constexpr std::string_view kReplacementCharacter = "\xef\xbf\xbd";  // U+FFFD

// Bytes of the UTF-8 character that `text` begins with; 0: it begins with none.
size_t character_bytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  size_t size = 0;
  unsigned char least = 0x80;  // that the second byte may be, and the most
  unsigned char most = 0xbf;
  if (byte(0) < 0x80) return 1;
  if (byte(0) >= 0xc2 && byte(0) <= 0xdf) size = 2;
  if (byte(0) >= 0xe0 && byte(0) <= 0xef) size = 3;
  if (byte(0) >= 0xf0 && byte(0) <= 0xf4) size = 4;
  if (byte(0) == 0xe0) least = 0xa0;
  if (byte(0) == 0xed) most = 0x9f;
  if (byte(0) == 0xf0) least = 0x90;
  if (byte(0) == 0xf4) most = 0x8f;
  if (size == 0 || text.size() < size || byte(1) < least || byte(1) > most) return 0;
  for (size_t i = 2; i < size; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  }
  return size;
}

void append_json_text(std::string_view text, std::string& out) {
  out += '"';
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = character_bytes(text.substr(at));
    const auto first = static_cast<unsigned char>(text[at]);
    if (bytes == 0) {
      out += kReplacementCharacter;
    } else if (first == '"' || first == '\\') {
      out.append("\\").append(1, text[at]);
    } else if (first < 0x20 || first == 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", first);
      out += escape;
    } else {
      out.append(text.substr(at, bytes));
    }
    at += bytes == 0 ? 1 : bytes;
  }
  out += '"';
}

}  // namespace

void append_log_line(LogEncoding encoding, const LogParts& parts, std::string& out) {
  if (encoding == LogEncoding::kText) {
    out.append(parts.time).append(" ").append(parts.level).append(" ").append(parts.component);
    out.append(": ").append(parts.message).append("\n");
    return;
  }
  out += "{\"level\":";
  append_json_text(parts.level, out);
  out += ",\"ts\":";
  append_json_text(parts.time, out);
  out += ",\"logger\":";
  append_json_text(parts.component, out);
  out += ",\"msg\":";
  append_json_text(parts.message, out);
  out += "}\n";
}

}  // namespace kvasir
