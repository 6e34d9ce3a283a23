#include "workload.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/random.h"

namespace kvasir {
namespace {

Result<WorkloadRow> parse_row(const std::string& line) {
  try {
    const nlohmann::json json = nlohmann::json::parse(line);
    WorkloadRow row;
    row.arrival = std::chrono::milliseconds(json.at("timestamp").get<int64_t>());
    row.input_tokens = json.at("input_length").get<uint32_t>();
    row.output_tokens = json.at("output_length").get<uint32_t>();
    row.hash_ids = json.at("hash_ids").get<std::vector<uint64_t>>();
    const size_t blocks = (row.input_tokens + kTokensPerHashId - 1) / kTokensPerHashId;
    if (row.input_tokens == 0 || row.output_tokens == 0 || row.hash_ids.size() != blocks) {
      return Error{"lengths and hash_ids do not fit: " + line};
    }
    return row;
  } catch (const nlohmann::json::exception& error) {
    return Error{error.what()};
  }
}

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

Result<SimulatedWorkload> read_mooncake_rows(const std::string& file, size_t rows) {
  std::ifstream stream(file);
  if (!stream) return Error{"cannot read " + file};
  SimulatedWorkload workload;
  for (std::string line; workload.size() < rows && std::getline(stream, line);) {
    auto row = parse_row(line);
    if (!row) {
      return Error{file + ":" + std::to_string(workload.size() + 1) + ": " + row.error().message};
    }
    workload.push_back(std::move(row).value());
  }
  return workload;
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

}  // namespace kvasir
