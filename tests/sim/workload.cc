#include "workload.h"

#include <algorithm>

#include "base/random.h"
#include "base/whole_file.h"

namespace kvasir {
namespace {

constexpr size_t kTraceBytesMost = size_t{1} << 30;

// Calls spread(first, last) for each run of rows that arrive at the same time.
template <class Spread>
void for_each_bin(SimulatedWorkload& workload, Spread&& spread) {
  for (auto first = workload.begin(); first != workload.end();) {
    const auto last = std::find_if(first, workload.end(), [first](const WorkloadRow& row) {
      return row.arrival != first->arrival;
    });
    spread(first, last);
    first = last;
  }
}

}  // namespace

Result<SimulatedWorkload> read_workload(const std::string& file, size_t rows) {
  const Result<std::string> text = read_whole_file(file, kTraceBytesMost);
  if (!text) return text.error();
  const Result<MooncakeTrace> trace = parse_mooncake_trace(*text, file);
  if (!trace) return trace.error();
  SimulatedWorkload workload;
  for (const TraceRow& row : trace->rows) {
    if (workload.size() == rows) break;
    if (row.hash_ids.empty() || !row.session.empty()) {
      return Error{file +
                   ": a row has no hash_ids or belongs to a session, which is not simulated"};
    }
    const auto arrival = std::chrono::microseconds(static_cast<int64_t>(row.timestamp_ms * 1000));
    workload.push_back({arrival, row.input_length, row.output_length, row.hash_ids});
  }
  return workload;
}

std::vector<TokenId> prompt_of(const WorkloadRow& row) {
  std::vector<TokenId> prompt(row.input_tokens);
  for (uint32_t i = 0; i < row.input_tokens; ++i) {
    const uint64_t block = mix64(row.hash_ids[i / kMooncakeBlockTokens]);
    prompt[i] =
        kFirstSpacedWord + static_cast<TokenId>(mix64(block ^ i % kMooncakeBlockTokens) % kWords);
  }
  return prompt;
}

void spread_evenly(SimulatedWorkload& workload, Duration bin) {
  for_each_bin(workload, [bin](auto first, auto last) {
    const auto count = last - first;
    for (auto i = count; i-- > 0;) first[i].arrival += bin * i / count;
  });
}

void spread_at_random(SimulatedWorkload& workload, Duration bin, uint64_t seed) {
  Random random(seed);
  std::vector<Duration> offsets;
  for_each_bin(workload, [&](auto first, auto last) {
    offsets.clear();
    for (auto row = first; row != last; ++row) {
      offsets.push_back(Duration(random.below(static_cast<uint64_t>(bin.count()))));
    }
    std::sort(offsets.begin(), offsets.end());
    for (auto row = first; row != last; ++row) row->arrival += offsets[row - first];
  });
}

void delay_at_random(SimulatedWorkload& workload, Duration most, uint64_t seed) {
  Random random(seed);
  for (WorkloadRow& row : workload) {
    row.arrival += Duration(random.below(static_cast<uint64_t>(most.count())));
  }
}

void hurry(SimulatedWorkload& workload, double pace) {
  for (WorkloadRow& row : workload) {
    row.arrival = from_seconds(to_seconds(row.arrival) / pace);
  }
}

}  // namespace kvasir
