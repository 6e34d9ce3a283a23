// The decision log: one line for each request that an endpoint was picked for, or that was refused,
// with what each filter left and each scorer gave. Never a prompt, an answer or a secret.
//
// Writing a line does not block: see telemetry/line_writer.h. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "apps/log_line.h"
#include "serving/journey_report.h"
#include "telemetry/line_writer.h"
#include "telemetry/metrics.h"

namespace kvasir {

// Of one scorer, and of the sums; the best ones.
inline constexpr size_t kLoggedEndpointsMax = 16;

// Append the line for a report, line end included.
// `component`: the program.
void append_pick_line(LogFormat format, WallTime time, std::string_view component,
                      const PickReport& report, std::string& out);
void append_refusal_line(LogFormat format, WallTime time, std::string_view component,
                         const RefusalReport& report, std::string& out);

class DecisionLog {
 public:
  DecisionLog(LogFormat format, std::string_view component, std::unique_ptr<LineWriter> writer)
      : format_(format), component_(component), writer_(std::move(writer)) {}

  void picked(const PickReport& report);
  void refused(const RefusalReport& report);

  // Adds PREFIXlines_total and PREFIXdropped_total to a page.
  void add_counts(MetricRegistry& page, const std::string& prefix) const;

  uint64_t lines() const { return writer_->lines(); }
  uint64_t dropped() const { return writer_->dropped(); }

 private:
  const LogFormat format_;
  const std::string component_;
  const std::unique_ptr<LineWriter> writer_;
};

}  // namespace kvasir
