// How a line of the log is written: for people, or as one JSON object with the keys that Go's zap
// uses (level, ts, logger, msg).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvasir {

enum class LogEncoding : uint8_t { kText, kJson };

struct LogParts {
  std::string_view time;
  std::string_view level;
  std::string_view component;
  std::string_view message;
};

// Appends the line with its end. Whatever the parts are, JSON stays one line and parses: what is
// not UTF-8 becomes U+FFFD.
void append_log_line(LogEncoding encoding, const LogParts& parts, std::string& out);

}  // namespace kvasir
