#include "apps/health_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "apps/duration_flag.h"

namespace kvasir {
namespace {

// What a request line can hold as it is.
bool is_path(const std::string& text) {
  return text.starts_with('/') &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

// A timer of years is a mistake, and one that overflows is worse.
constexpr double kSecondsMax = 86400;

Result<Duration> read_duration(const char* flag, double seconds) {
  if (seconds > 0 && seconds <= kSecondsMax) return from_seconds(seconds);
  return Error{std::string(flag) + ": must be longer than 0 and at most a day"};
}

}  // namespace

void add_health_flags(CLI::App& command, HealthFlags& flags) {
  command.add_flag(
      "--health-checks,!--no-health-checks", flags.checks,
      "Ask endpoints whether they are healthy (default: on); without, all that are known\n"
      "count as healthy: with pods of a cluster their readiness alone decides");
  command
      .add_option(
          "--health-path", flags.paths,
          "What to GET of an endpoint to learn whether it is healthy (200 to 299), or\n"
          "ENGINE=PATH for endpoints with the label llm-d.ai/engine-type=ENGINE; several\n"
          "with commas (default: /health; triton and triton-tensorrt-llm: /v2/health/ready)")
      ->delimiter(',');
  add_seconds_flag(command, "--health-interval", flags.interval_s,
                   "Between health checks of an endpoint");
  add_seconds_flag(
      command, "--health-timeout", flags.timeout_s,
      "What a health check may take. An answer that is late counts as none, unless the\n"
      "endpoint answered a request meanwhile; the next checks get more time then");
  command
      .add_option("--unhealthy-threshold", flags.unhealthy_threshold,
                  "Failed checks in a row that take an endpoint out")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      .add_option("--healthy-threshold", flags.healthy_threshold,
                  "Passed checks in a row that bring it back")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      .add_option("--when-none-healthy", flags.when_none_healthy,
                  "try: when no endpoint is healthy, use those that take connections; or refuse")
      ->check(CLI::IsMember({"try", "refuse"}))
      ->capture_default_str();
}

Result<MonitorOptions> monitor_options(const HealthFlags& flags) {
  MonitorOptions options;
  for (const std::string& text : flags.paths) {
    const size_t equals = text.starts_with('/') ? std::string::npos : text.find('=');
    const std::string path = equals == std::string::npos ? text : text.substr(equals + 1);
    if (!is_path(path) || equals == 0) {
      return Error{"--health-path: '" + text + "' is not /PATH or ENGINE=/PATH"};
    }
    if (equals == std::string::npos) {
      options.path = path;
    } else {
      options.engine_paths.insert_or_assign(text.substr(0, equals), path);
    }
  }
  const Result<Duration> interval = read_duration("--health-interval", flags.interval_s);
  if (!interval) return interval.error();
  options.interval = *interval;
  const Result<Duration> timeout = read_duration("--health-timeout", flags.timeout_s);
  if (!timeout) return timeout.error();
  options.rules.timeout = *timeout;
  options.rules.healthy_threshold = flags.healthy_threshold;
  options.rules.unhealthy_threshold = flags.unhealthy_threshold;
  options.try_unhealthy = flags.when_none_healthy == "try";
  return options;
}

}  // namespace kvasir
