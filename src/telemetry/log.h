// One line to standard error for each thing that changed or was refused: time, level, component, words.
// Thread-safe. Never give it a prompt, an answer, a key or a token.
#pragma once

#include <string_view>

#include "telemetry/log_encoding.h"

namespace kvasir {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Lines below `level` are dropped. Default kInfo.
void set_log_level(LogLevel level);
// Default kText.
void set_log_encoding(LogEncoding encoding);
// The word at the head of each line: the program ("gateway", "worker 3").
void set_log_component(std::string_view component);

void log(LogLevel level, std::string_view message);
inline void log_debug(std::string_view message) { log(LogLevel::kDebug, message); }
inline void log_info(std::string_view message) { log(LogLevel::kInfo, message); }
inline void log_warning(std::string_view message) { log(LogLevel::kWarning, message); }
inline void log_error(std::string_view message) { log(LogLevel::kError, message); }

}  // namespace kvasir
