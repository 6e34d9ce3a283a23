#include "apps/request_log.h"

#include <fmt/format.h>

#include "telemetry/log.h"

namespace kvasir {
namespace {

const char* how(Ending ending) {
  switch (ending) {
    case Ending::kNatural:
      return "is over";
    case Ending::kClientGone:
      return "was left by its client";
    case Ending::kError:
      return "was cut";
    case Ending::kNotWatched:
      return "was sent on";
  }
  return "is over";
}

}  // namespace

std::string request_line(const EndReport& report) {
  std::string line = fmt::format("request {} {}: status {}", report.labels.request_id,
                                 how(report.ending), report.status);
  if (report.endpoint != nullptr) line += " at " + report.endpoint->name;
  line += fmt::format(", {:.1f} ms", to_milliseconds(report.total));
  if (report.prefill != nullptr) {
    line += fmt::format(", prefilled at {} in {:.1f} ms", report.prefill->name,
                        to_milliseconds(report.prefill_time));
  }
  if (report.first_byte) {
    line += fmt::format(", first byte {:.1f} ms", to_milliseconds(*report.first_byte));
  }
  if (report.held > Duration::zero()) {
    line += fmt::format(", held {:.1f} ms", to_milliseconds(report.held));
  }
  if (report.prompt_tokens) line += fmt::format(", {} prompt tokens", *report.prompt_tokens);
  if (report.cached_tokens) line += fmt::format(", {} of them cached", *report.cached_tokens);
  if (report.completion_tokens) line += fmt::format(", {} generated", *report.completion_tokens);
  return line;
}

void log_request(const EndReport& report) {
  if (log_takes(LogLevel::kDebug)) log_debug(request_line(report));
}

}  // namespace kvasir
