#include "bench/workload.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace kvasir {
namespace {

// Where the rows that belong to no session stand: the ones that may be recorded in bins.
std::vector<size_t> rows_without_session(const std::vector<TraceRow>& trace) {
  std::vector<size_t> rows;
  for (size_t i = 0; i < trace.size(); ++i) {
    if (trace[i].session.empty()) rows.push_back(i);
  }
  return rows;
}

// Milliseconds of trace time at which each row is due.
std::vector<double> due_times_ms(const std::vector<TraceRow>& trace, double bin_ms) {
  std::vector<double> due;
  due.reserve(trace.size());
  for (const TraceRow& row : trace) due.push_back(row.timestamp_ms);
  const std::vector<size_t> rows = rows_without_session(trace);
  for (size_t begin = 0; begin < rows.size();) {
    const double at = trace[rows[begin]].timestamp_ms;
    size_t end = begin + 1;
    while (end < rows.size() && trace[rows[end]].timestamp_ms == at) ++end;
    double width = bin_ms;
    if (end < rows.size()) width = std::min(width, trace[rows[end]].timestamp_ms - at);
    const double gap = width / static_cast<double>(end - begin);
    for (size_t i = begin; i < end; ++i) due[rows[i]] = at + gap * static_cast<double>(i - begin);
    begin = end;
  }
  return due;
}

// Connects the turns of each session.
void link_turns(Workload& workload) {
  std::unordered_map<std::string, size_t> latest;
  for (size_t i = 0; i < workload.size(); ++i) {
    const TraceRow& row = workload.rows[i];
    const auto before = row.session.empty() ? latest.end() : latest.find(row.session);
    if (before == latest.end()) {
      workload.first.push_back(i);
    } else {
      workload.next_turn[before->second] = i;
    }
    if (!row.session.empty()) latest[row.session] = i;
  }
  std::stable_sort(workload.first.begin(), workload.first.end(), [&](size_t one, size_t other) {
    return workload.due[one] < workload.due[other];
  });
}

}  // namespace

uint64_t bin_width_ms(const std::vector<TraceRow>& trace) {
  const std::vector<size_t> rows = rows_without_session(trace);
  std::vector<double> gaps;
  for (size_t i = 1; i < rows.size(); ++i) {
    const double gap = trace[rows[i]].timestamp_ms - trace[rows[i - 1]].timestamp_ms;
    if (gap > 0) gaps.push_back(gap);
  }
  // Rows that never share a timestamp are in no bins.
  if (gaps.empty() || gaps.size() + 1 == rows.size()) return 0;
  const auto middle = gaps.begin() + static_cast<std::ptrdiff_t>((gaps.size() - 1) / 2);
  std::nth_element(gaps.begin(), middle, gaps.end());
  return static_cast<uint64_t>(std::llround(*middle));
}

Workload plan_workload(std::vector<TraceRow> trace, const WorkloadOptions& options) {
  Workload workload;
  workload.block_tokens = options.block_tokens;
  workload.bin_ms = options.bins == Bins::kSpread ? bin_width_ms(trace) : 0;
  const std::vector<double> due = due_times_ms(trace, static_cast<double>(workload.bin_ms));
  const size_t begin = std::min(options.start, trace.size());
  const size_t end = begin + std::min(options.requests, trace.size() - begin);
  workload.first_row = begin;
  if (begin == end) return workload;
  const double earliest = *std::min_element(due.begin() + static_cast<std::ptrdiff_t>(begin),
                                            due.begin() + static_cast<std::ptrdiff_t>(end));
  for (size_t i = begin; i < end; ++i) {
    workload.due.push_back(bounded_duration((due[i] - earliest) / 1000 / options.speed));
    workload.delay.push_back(bounded_duration(trace[i].delay_ms / 1000 / options.speed));
    workload.rows.push_back(std::move(trace[i]));
  }
  workload.next_turn.assign(workload.size(), kNoTurn);
  link_turns(workload);
  return workload;
}

Duration bounded_duration(double seconds) {
  constexpr double kSecondsMost = 1e9;  // beyond it nanoseconds could overflow
  return from_seconds(std::min(seconds, kSecondsMost));
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
