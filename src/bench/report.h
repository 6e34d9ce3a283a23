// The report of a replay or an A/B: arms side by side, as text and as JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/metrics.h"
#include "bench/workload.h"

namespace kvasir {

struct Report {
  // What was replayed.
  std::string trace;       // its file, or what it was made by
  std::string trace_hash;  // "xxh64:..." of its bytes
  size_t first_row = 0;
  size_t requests = 0;
  double span_s = 0;  // from the first intended send to the last
  uint64_t bin_ms = 0;
  uint64_t prompt_tokens = 0;
  uint64_t output_tokens = 0;
  double hit_ceiling = 0;  // the hit ratio of one cache without limit
  uint64_t seed = 0;
  double speed = 1;
  double time_scale = 1;
  std::string model;

  std::vector<ArmMetrics> arms;
  // Of two arms or more: the rows whose answers differ somewhere.
  std::optional<std::vector<size_t>> rows_with_other_tokens;
};

// Everything of `workload` that a report tells.
Report describe(const Workload& workload);

// The seed's five metrics, ITL, hits and their ceiling: one column an arm, with differences to the
// first.
std::string report_text(const Report& report);

// "xxh64:" and 16 hexadecimal digits: what `xxh64sum` prints for a file of these bytes.
std::string hash_text(std::string_view bytes);

// One JSON object, indented, with a line end.
std::string report_json(const Report& report);

// Why the figures of an arm would mislead, because the client was late; empty: none is.
std::string lag_problem(const Report& report);

}  // namespace kvasir
