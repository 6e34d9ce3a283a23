#include "apps/number_checks.h"

#include <fmt/format.h>

namespace kvasir {
namespace {

constexpr double kTimeScaleMost = 1e6;

// `least` is allowed unless `above`.
CLI::Validator between(double least, bool above, double most, const std::string& name) {
  return CLI::Validator(
      [=](std::string& text) {
        double number = 0;
        if (!CLI::detail::lexical_cast(text, number)) return "'" + text + "' is not a number";
        const bool good = (above ? number > least : number >= least) && number <= most;
        if (good) return std::string();
        return fmt::format("{} must be a number {} {} {} {}", text, above ? "above" : "from", least,
                           above ? "and at most" : "to", most);
      },
      name);
}

}  // namespace

CLI::Validator above_zero(double most) {
  return between(0, true, most, "POSITIVE");
}

CLI::Validator from_zero(double most) {
  return between(0, false, most, "NONNEGATIVE");
}

CLI::Validator time_scale_check() {
  return between(1 / kTimeScaleMost, false, kTimeScaleMost, "FLOAT in [1e-06 - 1e+06]");
}

CLI::Validator hold_threshold_check() {
  return between(0.001, false, 600, "FLOAT in [0.001 - 600]");
}

void refuse_negative_counts(CLI::App& app) {
  const CLI::Validator check(
      [](const std::string& text) {
        return text.find('-') == std::string::npos ? "" : "'" + text + "' is below 0";
      },
      "");
  for (CLI::Option* option : app.get_options([](CLI::Option*) { return true; })) {
    if (option->get_type_name().starts_with("UINT")) option->check(check);
  }
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    refuse_negative_counts(*command);
  }
}

}  // namespace kvasir
