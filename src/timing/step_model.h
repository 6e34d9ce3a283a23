// How long one step of an engine like vLLM V1 takes:
//   T = overhead + dense(m) + a * sum over prefill chunks of q (p + q / 2)
//       + b * KV tokens read by decoding rows + max(floor, c * rows)
// m: tokens in the step (padded), q: tokens of a chunk, p: tokens of the same prompt already
// computed. dense() is a table, so it may have stairs: CUDA graphs of a few sizes, a host that
// needs its time without one. That the parts add up was measured: vLLM 0.20.2 with prompts and
// decoding rows in one step, within 3 %. All results are model seconds. Pure; const methods are
// thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "timing/engine_profile.h"

namespace kvasir {

// The work of one step, added up.
struct StepWork {
  uint64_t tokens = 0;            // prefill and decode tokens together
  double prefill_attention = 0;   // sum of q (p + q / 2)
  uint64_t decode_kv_tokens = 0;  // KV tokens read by decoding rows
  uint32_t rows = 0;              // rows in the step, prefilling and decoding

  void add_prefill(uint64_t chunk, uint64_t prefix) {
    tokens += chunk;
    prefill_attention += static_cast<double>(chunk) *
                         (static_cast<double>(prefix) + static_cast<double>(chunk) / 2);
    ++rows;
  }
  void add_decode(uint64_t kv_tokens) {
    ++tokens;
    decode_kv_tokens += kv_tokens;
    ++rows;
  }
};

// Other sequences that decode on the worker while a prompt is prefilled.
struct DecodeLoad {
  uint32_t rows = 0;
  uint64_t kv_tokens = 0;
};

class StepModel {
 public:
  explicit StepModel(StepTimes times);

  double step_seconds(const StepWork& work) const;

  // Time to the first token of a prompt that is alone in the queue: its uncached tokens in chunks of the
  // budget left by the decoding rows. Precondition: cached_tokens <= prompt_tokens, budget > 0.
  double prefill_seconds(uint64_t prompt_tokens, uint64_t cached_tokens, uint32_t budget,
                         const DecodeLoad& load = {}) const;

 private:
  // ms + slope * (tokens - at), for counts that are greater than the segment's before and not
  // greater than `last`.
  struct Segment {
    double last;
    double at;
    double ms;
    double slope;
  };

  double dense_ms(uint64_t tokens) const;

  StepTimes times_;
  std::vector<Segment> segments_;  // the table; the last one has no end
  // By the bits of a count: the first segment that may hold it, so that a look-up passes over few.
  std::array<uint16_t, 65> first_segment_{};
};

}  // namespace kvasir
