#include "apps/log_page.h"

#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace kvasir {

std::string log_page() {
  const LogCounts counts = log_counts();
  MetricRegistry page;
  page.counter("kvasir_log_lines_dropped_total",
               "Log lines that were dropped, as nobody read standard error fast enough.")
      .add(counts.dropped);
  page.counter("kvasir_log_lines_held_back_total",
               "Log lines that were only summed up, as there were many of their kind.")
      .add(counts.held_back);
  return page.expose();
}

}  // namespace kvasir
