// A workload: the requests of a recorded or made trace, in order of arrival.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "tokens/vocabulary.h"
#include "wire/mooncake_trace.h"

namespace kvasir {

struct WorkloadRow {
  Duration arrival{};
  uint32_t input_tokens = 0;
  uint32_t output_tokens = 0;
  // One for each started block of kMooncakeBlockTokens prompt tokens; equal ids at equal places
  // mean equal text.
  std::vector<uint64_t> hash_ids;
};

using SimulatedWorkload = std::vector<WorkloadRow>;

// The first `rows` rows of a Mooncake trace (wire/mooncake_trace.h) whose prompts are hash ids.
Result<SimulatedWorkload> read_workload(const std::string& file, size_t rows = SIZE_MAX);

// The row's prompt: words of the simulated vocabulary, the same for the same hash ids.
std::vector<TokenId> prompt_of(const WorkloadRow& row);

// Traces stamp whole bins of arrivals alike. Both spread the rows of a bin over it, in their order:
// evenly, or uniformly at random.
void spread_evenly(SimulatedWorkload& workload, Duration bin);
void spread_at_random(SimulatedWorkload& workload, Duration bin, uint64_t seed);
// Each row comes up to `most` later.
void delay_at_random(SimulatedWorkload& workload, Duration most, uint64_t seed);
// The same rows in 1 / `pace` of the time.
void hurry(SimulatedWorkload& workload, double pace);

}  // namespace kvasir
