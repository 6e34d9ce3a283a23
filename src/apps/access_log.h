// The access log: one line of JSON for each request that is over, whoever answered it. Never a
// prompt, an answer, a key or a query.
//
// Writing a line does not block: see telemetry/line_writer.h. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "apps/log_line.h"
#include "gateway/visit_report.h"
#include "telemetry/line_writer.h"
#include "telemetry/metrics.h"

namespace kvasir {

// Appends the line for a report, line end included. What is absent is left out.
void append_access_line(WallTime time, const VisitReport& report, std::string& out);

class AccessLog {
 public:
  explicit AccessLog(std::unique_ptr<LineWriter> writer) : writer_(std::move(writer)) {}

  void ended(const VisitReport& report);
  void reopen() { writer_->reopen(); }
  // Adds kvasir_gateway_access_log_lines_total and ..._dropped_total to a page.
  void add_counts(MetricRegistry& page) const;

 private:
  const std::unique_ptr<LineWriter> writer_;
};

}  // namespace kvasir
