#include "apps/duration_flag.h"

#include <cstdio>

#include "apps/number_checks.h"
#include "base/parameters.h"

namespace kvasir {

CLI::Validator as_seconds() {
  CLI::Validator validator(
      [](std::string& text) {
        double seconds = 0;
        if (CLI::detail::lexical_cast(text, seconds)) {
          if (!(seconds >= 0)) return std::string("must not be negative");
          return seconds <= kSecondsMost ? std::string() : "must be at most 1000000000s";
        }
        const std::optional<Duration> parsed = parse_duration(text);
        if (!parsed || *parsed < Duration::zero()) {
          return "'" + text + "' is no duration such as 50ms or 5s";
        }
        char number[32];
        std::snprintf(number, sizeof number, "%.9f", to_seconds(*parsed));
        text = number;
        return std::string();
      },
      "DURATION", "as_seconds");
  return validator;
}

}  // namespace kvasir
