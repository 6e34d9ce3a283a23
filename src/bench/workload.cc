#include "bench/workload.h"

#include <algorithm>
#include <unordered_set>

namespace kvasir {
namespace {

// One past the last row with the timestamp of `begin`.
size_t end_of_bin(const std::vector<TraceRow>& trace, size_t begin) {
  size_t end = begin + 1;
  while (end < trace.size() && trace[end].timestamp_ms == trace[begin].timestamp_ms) ++end;
  return end;
}

// Milliseconds of trace time at which each row is due.
std::vector<double> due_times_ms(const std::vector<TraceRow>& trace, uint64_t bin_ms) {
  std::vector<double> due;
  due.reserve(trace.size());
  for (size_t begin = 0; begin < trace.size();) {
    const size_t end = end_of_bin(trace, begin);
    uint64_t width = bin_ms;
    if (end < trace.size()) {
      width = std::min(width, trace[end].timestamp_ms - trace[begin].timestamp_ms);
    }
    const double gap = static_cast<double>(width) / static_cast<double>(end - begin);
    for (size_t i = begin; i < end; ++i) {
      due.push_back(static_cast<double>(trace[begin].timestamp_ms) +
                    gap * static_cast<double>(i - begin));
    }
    begin = end;
  }
  return due;
}

}  // namespace

uint64_t bin_width_ms(const std::vector<TraceRow>& trace) {
  std::vector<uint64_t> gaps;
  for (size_t i = 1; i < trace.size(); ++i) {
    const uint64_t gap = trace[i].timestamp_ms - trace[i - 1].timestamp_ms;
    if (gap > 0) gaps.push_back(gap);
  }
  if (gaps.empty()) return 0;
  const auto middle = gaps.begin() + static_cast<std::ptrdiff_t>((gaps.size() - 1) / 2);
  std::nth_element(gaps.begin(), middle, gaps.end());
  return *middle;
}

Workload plan_workload(std::vector<TraceRow> trace, const WorkloadOptions& options) {
  Workload workload;
  workload.bin_ms = options.bins == Bins::kSpread ? bin_width_ms(trace) : 0;
  const std::vector<double> due = due_times_ms(trace, workload.bin_ms);
  const size_t begin = std::min(options.start, trace.size());
  const size_t end = begin + std::min(options.requests, trace.size() - begin);
  workload.first_row = begin;
  for (size_t i = begin; i < end; ++i) {
    workload.rows.push_back(std::move(trace[i]));
    workload.due.push_back(from_seconds((due[i] - due[begin]) / 1000 / options.speed));
  }
  return workload;
}

double hit_ceiling(const std::vector<TraceRow>& rows, uint32_t block_tokens) {
  std::unordered_set<uint64_t> seen;
  uint64_t held = 0;
  uint64_t asked = 0;
  for (const TraceRow& row : rows) {
    uint64_t matched = 0;
    while (matched < row.hash_ids.size() && seen.count(row.hash_ids[matched]) > 0) ++matched;
    held += std::min<uint64_t>(matched * block_tokens, row.input_length);
    asked += row.input_length;
    seen.insert(row.hash_ids.begin(), row.hash_ids.end());
  }
  return asked == 0 ? 0 : static_cast<double>(held) / static_cast<double>(asked);
}

}  // namespace kvasir
