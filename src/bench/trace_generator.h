// Makes up a workload in Mooncake's format: conversations that grow, over a few shared system
// prompts.
//
// A request either opens a conversation or goes on with one that has had time to be answered and
// read. Its prompt is the system prompt, everything said so far, and a new question. Lengths of
// system prompts, questions and answers are heavy-tailed: each has a median, and twice the median
// is exceeded half as often, up to a bound. Arrivals are Poisson, and recorded in bins like those
// of the published traces. Whole-number arithmetic only: the same options give the same rows on
// every machine.
#pragma once

#include <cstdint>
#include <vector>

#include "wire/mooncake_trace.h"

namespace kvasir {

struct TraceOptions {
  uint64_t seed = 1;
  uint32_t requests = 200;
  uint32_t duration_s = 30;         // requests arrive within it
  uint32_t bin_ms = 3000;           // timestamps are multiples of it; 1: every millisecond
  uint32_t system_prompts = 4;      // shared beginnings; the first is the most common
  uint32_t follow_up_percent = 65;  // of requests go on with a conversation, when one is ready
  uint32_t prompt_tokens_max = 32768;
};

// Precondition: every option but the seed is at least 1, follow_up_percent at most 100,
// prompt_tokens_max at least 8192.
std::vector<TraceRow> generate_trace(const TraceOptions& options);

}  // namespace kvasir
