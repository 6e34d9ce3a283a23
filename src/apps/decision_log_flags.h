// --decision-log and --decision-log-file, of gateway and picker.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "apps/decision_log.h"
#include "base/result.h"

namespace CLI {
class App;
}

namespace kvasir {

struct DecisionLogFlags {
  std::string format;  // off, text or json; what it is before the flags are read is the default
  std::string file = {};
};

void add_decision_log_flags(CLI::App& command, DecisionLogFlags& flags);
// Null: it is off. An error names the flag.
Result<std::unique_ptr<DecisionLog>> decision_log(const DecisionLogFlags& flags,
                                                  std::string_view component);

}  // namespace kvasir
