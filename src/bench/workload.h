// What a replay sends and when: the rows of a trace and, for each, the moment it is due.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "wire/mooncake_trace.h"

namespace kvasir {

// What becomes of rows that share a timestamp, because the trace was recorded in bins.
enum class Bins : uint8_t {
  kSpread,  // spread evenly over their bin, in order
  kAsIs,    // all at once
};

struct WorkloadOptions {
  size_t start = 0;  // rows of the trace to skip
  size_t requests =
      std::numeric_limits<size_t>::max();  // rows to take after those; fewer when it ends
  double speed = 1;                        // trace seconds per second: 2 sends twice as fast
  Bins bins = Bins::kSpread;
  uint32_t block_tokens = kMooncakeBlockTokens;  // of each of the rows' hash_ids
};

inline constexpr size_t kNoTurn = std::numeric_limits<size_t>::max();

struct Workload {
  std::vector<TraceRow> rows;
  // Of each row, since the earliest; a turn that follows another is not due before.
  std::vector<Duration> due;
  // Which turn of its session comes after a row; kNoTurn: none.
  std::vector<size_t> next_turn;
  std::vector<Duration> delay;  // of a turn that follows another: from the end of its answer
  std::vector<size_t> first;    // the rows that follow none, in the order of their due times
  size_t first_row = 0;         // where rows[0] stands in the trace
  uint64_t bin_ms = 0;          // the width of the trace's bins; 0: left as they are
  uint32_t block_tokens = kMooncakeBlockTokens;

  size_t size() const { return rows.size(); }
};

// The width of the bins of a trace: the median difference between neighbouring distinct timestamps
// (recorded ones scatter by a few milliseconds around the true width). 0 when all timestamps are
// one.
uint64_t bin_width_ms(const std::vector<TraceRow>& trace);

// Rows of a session keep their own timestamps; only the others are spread. A turn whose predecessor is
// not among the rows taken is due by its timestamp.
// Due times are worked out over the whole trace before rows are taken from it, so a row's
// neighbours do not depend on `start` and `requests`. A bin ends where the next one begins, or
// after bin_width_ms().
Workload plan_workload(std::vector<TraceRow> trace, const WorkloadOptions& options);

// Of thirty years at most: so long that nanoseconds cannot overflow.
Duration bounded_duration(double seconds);

// Share of the prompt tokens that one cache without limit would hold: for each row, the leading
// hash_ids that an earlier row has had.
double hit_ceiling(const std::vector<TraceRow>& rows, uint32_t block_tokens = kMooncakeBlockTokens);

}  // namespace kvasir
