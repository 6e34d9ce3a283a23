#include "apps/duration_flag.h"

#include <cstdio>
#include <optional>

#include "apps/number_checks.h"
#include "base/parameters.h"

namespace kvasir {
namespace {

constexpr const char* kUnits = "the units are ns, us, ms, s, m and h, as in 50ms or 1m30s";

// Without zeros at the end, so that options of whole numbers can read it.
std::string plain_number(double number) {
  char text[64];
  std::snprintf(text, sizeof text, "%.9f", number);
  std::string plain = text;
  plain.erase(plain.find_last_not_of('0') + 1);
  if (plain.ends_with('.')) plain.pop_back();
  return plain;
}

std::string default_text(double seconds) {
  if (seconds == 0) return "0";
  return seconds < 1 ? plain_number(seconds * 1000) + "ms" : plain_number(seconds) + "s";
}

std::optional<double> number_alone(const std::string& text) {
  double number = 0;
  if (!CLI::detail::lexical_cast(text, number)) return std::nullopt;
  return number;
}

// The duration in `unit` takes the place of the text; a number alone counts `unit` already.
CLI::Validator as_number_of(Duration unit, const char* unit_name) {
  return CLI::Validator(
      [unit, unit_name](std::string& text) {
        const double most = kSecondsMost / to_seconds(unit);
        if (const std::optional<double> number = number_alone(text)) {
          if (!(*number >= 0)) return "'" + text + "' must not be negative";
          return *number <= most ? std::string() : "must be at most " + plain_number(most);
        }
        const std::optional<Duration> parsed = parse_duration(text);
        if (!parsed) {
          return "'" + text + "' is not a duration: write a number of " + unit_name +
                 ", or a unit with it; " + kUnits;
        }
        text = plain_number(to_seconds(*parsed) / to_seconds(unit));
        return std::string();
      },
      "");
}

CLI::Option* add(CLI::App& command, const std::string& name, double& seconds,
                 const std::string& help) {
  return command.add_option(name, seconds, help)
      ->type_name("DURATION")
      ->default_str(default_text(seconds));
}

}  // namespace

CLI::Option* add_seconds_flag(CLI::App& command, const std::string& name, double& seconds,
                              const std::string& help) {
  return add(command, name, seconds, help + "\n(seconds, or with a unit: 500ms, 2m)")
      ->transform(as_seconds());
}

CLI::Option* add_upstream_duration_flag(CLI::App& command, const std::string& name, double& seconds,
                                        const std::string& help) {
  const CLI::Validator rule(
      [](std::string& text) {
        std::string problem = upstream_duration_problem(text);
        if (problem.empty()) text = plain_number(to_seconds(*parse_duration(text)));
        return problem;
      },
      "");
  return add(command, name, seconds, help + "\n(with a unit: 500ms, 2m)")->transform(rule);
}

CLI::Validator as_seconds() {
  return as_number_of(std::chrono::seconds(1), "seconds");
}

CLI::Validator as_milliseconds() {
  return as_number_of(std::chrono::milliseconds(1), "milliseconds");
}

std::string upstream_duration_problem(const std::string& text) {
  if (parse_duration(text)) return "";
  if (number_alone(text)) {
    return "'" + text + "' has no unit: write " + text + "ms or " + text + "s; " + kUnits;
  }
  return "'" + text + "' is not a duration; " + kUnits;
}

}  // namespace kvasir
