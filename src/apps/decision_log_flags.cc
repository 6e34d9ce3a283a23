#include "apps/decision_log_flags.h"

#include <CLI/CLI.hpp>
#include <utility>

namespace kvasir {

void add_decision_log_flags(CLI::App& command, DecisionLogFlags& flags) {
  command
      .add_option("--decision-log", flags.format,
                  "A line for each pick and each refusal: text, json, or off")
      ->check(CLI::IsMember({"off", "text", "json"}))
      ->capture_default_str();
  command.add_option("--decision-log-file", flags.file,
                     "Where to (default: standard error; - is standard output)");
}

Result<std::unique_ptr<DecisionLog>> decision_log(const DecisionLogFlags& flags,
                                                  std::string_view component) {
  if (flags.format == "off") return std::unique_ptr<DecisionLog>();
  Result<std::unique_ptr<LineWriter>> writer = LineWriter::open(flags.file);
  if (!writer) return Error{"--decision-log-file: " + writer.error().message};
  const LogFormat format = flags.format == "json" ? LogFormat::kJson : LogFormat::kText;
  return std::make_unique<DecisionLog>(format, component, std::move(*writer));
}

}  // namespace kvasir
