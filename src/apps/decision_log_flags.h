// --decision-log and --decision-log-file, of gateway and picker.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "apps/decision_log.h"
#include "base/result.h"
#include "telemetry/log.h"

namespace CLI {
class App;
}

namespace kvasir {

struct DecisionLogFlags {
  // off, text or json; empty: as the program's other lines are. What it is before the flags are
  // read is the default.
  std::string format;
  std::string file = {};
};

void add_decision_log_flags(CLI::App& command, DecisionLogFlags& flags);
// `other_lines`: how the program writes them. None: it is off.
std::optional<LogFormat> decision_log_format(const DecisionLogFlags& flags,
                                             LogEncoding other_lines);
// Null: it is off. An error names the flag.
Result<std::unique_ptr<DecisionLog>> decision_log(const DecisionLogFlags& flags,
                                                  std::string_view component,
                                                  LogEncoding other_lines);

}  // namespace kvasir
