#include "apps/log_flags.h"

#include <CLI/CLI.hpp>
#include <charconv>

#include "base/text.h"

namespace kvasir {
namespace {

// From here on debug lines are written.
constexpr int kVerbose = 3;

std::optional<int> whole_number(std::string_view text) {
  int number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

LogLevel level_of(int verbosity) {
  return verbosity >= kVerbose ? LogLevel::kDebug : LogLevel::kInfo;
}

}  // namespace

std::optional<LogLevel> log_level_named(std::string_view name) {
  const std::string level = lower_case(name);
  if (level == "debug") return LogLevel::kDebug;
  if (level == "info") return LogLevel::kInfo;
  if (level == "warn" || level == "warning") return LogLevel::kWarning;
  if (level == "error") return LogLevel::kError;
  return std::nullopt;
}

void add_zap_flags(CLI::App& command, ZapFlags& flags) {
  command
      .add_option("-v,--v", flags.verbosity,
                  "How much is logged: 1 what changes, 3 and more each request that is over, too")
      ->capture_default_str();
  command.add_option("--zap-log-level", flags.level,
                     "The same by name: debug, info, error, panic, or a number as of -v");
  command.add_option("--zap-encoder", flags.encoder, "How lines are written: console or json");
  command
      .add_option("--zap-devel", flags.devel,
                  "false: lines are JSON unless --zap-encoder says otherwise")
      ->expected(0, 1)
      ->capture_default_str();
}

Result<LogSettings> log_settings(const ZapFlags& flags) {
  LogSettings settings;
  // -v=4 comes as "=4".
  const std::string_view written = flags.verbosity;
  const auto verbosity = whole_number(written.substr(written.starts_with('=') ? 1 : 0));
  if (!verbosity) return Error{"-v: '" + flags.verbosity + "' is no whole number"};
  settings.level = level_of(*verbosity);
  const std::string level = lower_case(flags.level);
  if (level == "debug") {
    settings.level = LogLevel::kDebug;
  } else if (level == "info") {
    settings.level = LogLevel::kInfo;
  } else if (level == "error" || level == "panic") {
    settings.level = LogLevel::kError;
  } else if (!level.empty()) {
    const auto number = whole_number(level);
    if (!number || *number <= 0) {
      return Error{"--zap-log-level: '" + flags.level +
                   "' is none of debug, info, error, panic and numbers from 1 on"};
    }
    settings.level = level_of(*number);
  }
  const std::string encoder = lower_case(flags.encoder);
  if (!encoder.empty() && encoder != "json" && encoder != "console") {
    return Error{"--zap-encoder: '" + flags.encoder + "' is neither json nor console"};
  }
  const bool json = encoder.empty() ? !flags.devel : encoder == "json";
  settings.encoding = json ? LogEncoding::kJson : LogEncoding::kText;
  return settings;
}

}  // namespace kvasir
