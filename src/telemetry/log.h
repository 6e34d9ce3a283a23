// One line to standard error for each thing that changed or was refused: time, level, component,
// words. Thread-safe. Never give it a prompt, an answer, a key or a token.
//
// While a LogThread lives, log() never waits for whoever reads standard error: a thread writes the
// lines, and those that do not fit its buffer are dropped and counted.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/clock.h"
#include "telemetry/log_encoding.h"

namespace kvasir {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Lines below `level` are dropped. Default kInfo.
void set_log_level(LogLevel level);
// Whether lines of that level are written: to spare the work of making them.
bool log_takes(LogLevel level);
// Default kText.
void set_log_encoding(LogEncoding encoding);
// The word at the head of each line: the program ("gateway", "worker 3").
void set_log_component(std::string_view component);

// A message that is longer than this is cut.
inline constexpr size_t kLogMessageBytesMax = 16 * 1024;

void log(LogLevel level, std::string_view message);
inline void log_debug(std::string_view message) { log(LogLevel::kDebug, message); }
inline void log_info(std::string_view message) { log(LogLevel::kInfo, message); }
inline void log_warning(std::string_view message) { log(LogLevel::kWarning, message); }
inline void log_error(std::string_view message) { log(LogLevel::kError, message); }

// For what a client or a worker can make happen as often as it likes: of one `kind` a few lines in
// a second are written, then "N more: KIND" (telemetry/log_limiter.h). Not for changes of state,
// which are always written.
void log_repeated(LogLevel level, std::string_view kind, std::string_view message);

struct LogCounts {
  uint64_t dropped = 0;    // nobody read standard error
  uint64_t held_back = 0;  // of log_repeated()
};
LogCounts log_counts();

struct LogThreadOptions {
  int descriptor = 2;                         // borrowed
  size_t pending_bytes_max = 1024 * 1024;     // some 10,000 lines
  Duration flush_timeout = std::chrono::seconds(1);  // at the end
};

// Writes the lines of log() until it dies, which writes what is left, unless that takes too long;
// so does a failed assertion. One at a time; main() has it.
class LogThread {
 public:
  explicit LogThread(const LogThreadOptions& options = {});
  ~LogThread();
  LogThread(const LogThread&) = delete;
  LogThread& operator=(const LogThread&) = delete;
};

}  // namespace kvasir
