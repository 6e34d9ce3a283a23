// How much a program logs, and how: --log-level, and the flags of the Go programs whose place ours
// take, -v and --zap-....
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "telemetry/log.h"

namespace CLI {
class App;
}

namespace kvasir {

struct ZapFlags {
  std::string verbosity = "1";
  std::string level;    // empty: verbosity says it
  std::string encoder;  // empty: devel says it
  bool devel = true;
};

struct LogSettings {
  LogLevel level = LogLevel::kInfo;
  LogEncoding encoding = LogEncoding::kText;
};

// debug, info, warning (warn) or error, in any case; nullopt: none of them.
std::optional<LogLevel> log_level_named(std::string_view name);

void add_zap_flags(CLI::App& command, ZapFlags& flags);
// An error names the flag.
Result<LogSettings> log_settings(const ZapFlags& flags);

}  // namespace kvasir
