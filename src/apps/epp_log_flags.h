// How much `kvasir epp` logs, and how: -v and upstream's --zap flags.
#pragma once

#include <string>

#include "base/result.h"
#include "telemetry/log.h"

namespace CLI {
class App;
}

namespace kvasir {

struct EppLogFlags {
  std::string verbosity = "1";
  std::string level;    // empty: verbosity says it
  std::string encoder;  // empty: devel says it
  bool devel = true;
};

struct LogSettings {
  LogLevel level = LogLevel::kInfo;
  LogEncoding encoding = LogEncoding::kText;
};

void add_log_flags(CLI::App& command, EppLogFlags& flags);
// An error names the flag.
Result<LogSettings> log_settings(const EppLogFlags& flags);

}  // namespace kvasir
