#include "apps/decision_log_flags.h"

#include <CLI/CLI.hpp>
#include <utility>

namespace kvasir {

void add_decision_log_flags(CLI::App& command, DecisionLogFlags& flags) {
  std::string text = "A line for each pick and each refusal: text, json, or off";
  if (flags.format.empty()) text += "\n(default: json where the other lines are, else text)";
  command.add_option("--decision-log", flags.format, text)
      ->check(CLI::IsMember({"off", "text", "json"}))
      ->capture_default_str();
  command.add_option("--decision-log-file", flags.file,
                     "Where to (default: standard error; - is standard output)");
}

std::optional<LogFormat> decision_log_format(const DecisionLogFlags& flags,
                                             LogEncoding other_lines) {
  if (flags.format == "off") return std::nullopt;
  const bool json =
      flags.format.empty() ? other_lines == LogEncoding::kJson : flags.format == "json";
  return json ? LogFormat::kJson : LogFormat::kText;
}

Result<std::unique_ptr<DecisionLog>> decision_log(const DecisionLogFlags& flags,
                                                  std::string_view component,
                                                  LogEncoding other_lines) {
  const std::optional<LogFormat> format = decision_log_format(flags, other_lines);
  if (!format) return std::unique_ptr<DecisionLog>();
  Result<std::unique_ptr<LineWriter>> writer = LineWriter::open(flags.file);
  if (!writer) return Error{"--decision-log-file: " + writer.error().message};
  return std::make_unique<DecisionLog>(*format, component, std::move(*writer));
}

}  // namespace kvasir
