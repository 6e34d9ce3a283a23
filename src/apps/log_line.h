// One structured log line, as JSON or as key=value text. Whatever stands in a value, the line stays
// one line and parses: texts are cut to a length, quoted and escaped, and bytes that are not UTF-8
// become U+FFFD.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace kvasir {

enum class LogFormat : uint8_t { kText, kJson };
using WallTime = std::chrono::system_clock::time_point;

// What is left of a longer text ends in "...".
inline constexpr size_t kLoggedTextMax = 128;

class LogLine {
 public:
  // Appends to `out`, from timestamp, level, component and message on; end() closes the line.
  LogLine(LogFormat format, WallTime time, std::string_view level, std::string_view component,
          std::string_view message, std::string& out);
  void end();

  void text(std::string_view key, std::string_view value);
  void number(std::string_view key, int64_t value);
  void decimal(std::string_view key, double value);
  void milliseconds(std::string_view key, Duration value);

  // A list of texts: open, add each, close.
  void open_list(std::string_view key);
  void item(std::string_view value);
  void close_list();

  // A list of named things, each with a profile and either a number or a map:
  //   key=[profile/name=3,...]           [{"KIND":"name","profile":"p","LABEL":3}]
  //   key=[profile/name{a=0.5,b=1},...]  [{"KIND":"name","profile":"p","LABEL":{"a":0.5,"b":1}}]
  void item(std::string_view kind, std::string_view name, std::string_view profile,
            std::string_view label, int64_t value);
  void open_item(std::string_view kind, std::string_view name, std::string_view profile,
                 std::string_view label);
  // A map of its own: open_map(), entry() for each, close_map(); within an item entry() alone.
  void open_map(std::string_view key);
  void entry(std::string_view name, double value);
  void close_map();
  void close_item();

 private:
  bool json() const { return format_ == LogFormat::kJson; }
  void key(std::string_view key);
  void separate();
  void begin_item(std::string_view kind, std::string_view name, std::string_view profile,
                  std::string_view label);
  void value(std::string_view value);

  const LogFormat format_;
  std::string& out_;
  bool first_ = true;  // in a list or a map
  bool first_entry_ = true;
};

// "2026-11-28T02:03:04.567Z"
void append_log_time(WallTime time, std::string& out);

// At most four digits behind the point, without zeros at the end; null for what is no number.
void append_decimal(double value, std::string& out);

}  // namespace kvasir
