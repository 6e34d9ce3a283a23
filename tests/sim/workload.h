// A workload: the requests of a recorded or made trace, in order of arrival.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace kvasir {

// Tokens of a prompt that one hash id stands for.
inline constexpr uint32_t kTokensPerHashId = 512;

struct WorkloadRow {
  Duration arrival{};
  uint32_t input_tokens = 0;
  uint32_t output_tokens = 0;
  // One for each started block of kTokensPerHashId prompt tokens; equal ids at equal places mean
  // equal text.
  std::vector<uint64_t> hash_ids;
};

using SimulatedWorkload = std::vector<WorkloadRow>;

// The first `rows` rows of a Mooncake trace (JSON lines: timestamp in milliseconds, input_length,
// output_length, hash_ids).
Result<SimulatedWorkload> read_mooncake_rows(const std::string& file, size_t rows);

// Traces stamp whole bins of arrivals alike. Both spread the rows of a bin over it, in their order:
// evenly, or uniformly at random.
void spread_evenly(SimulatedWorkload& workload, Duration bin);
void spread_at_random(SimulatedWorkload& workload, Duration bin, uint64_t seed);

}  // namespace kvasir
