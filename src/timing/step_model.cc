#include "timing/step_model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/assert.h"

namespace kvasir {
namespace {

constexpr double kSecondsPerMillisecond = 1e-3;

}  // namespace

StepModel::StepModel(StepTimes times) : times_(std::move(times)) {
  KVASIR_ASSERT(!times_.dense_ms_by_tokens.empty(), "the dense table has a point");
  KVASIR_ASSERT(times_.padding > 0, "the padding is not 0");
  const auto& table = times_.dense_ms_by_tokens;
  KVASIR_ASSERT(table.size() <= std::numeric_limits<uint16_t>::max(),
                "segments are counted in 16 bits");
  segments_.push_back({table.front().first, 0, table.front().second, 0});
  for (size_t right = 1; right < table.size(); ++right) {
    const auto& [x0, y0] = table[right - 1];
    const auto& [x1, y1] = table[right];
    segments_.push_back({x1, x0, y0, (y1 - y0) / (x1 - x0)});
  }
  segments_.back().last = std::numeric_limits<double>::infinity();
  uint16_t segment = 0;
  for (size_t bits = 0; bits < first_segment_.size(); ++bits) {
    const double smallest = bits == 0 ? 0 : std::ldexp(1.0, static_cast<int>(bits) - 1);
    while (segments_[segment].last < smallest) ++segment;
    first_segment_[bits] = segment;
  }
}

double StepModel::step_seconds(const StepWork& work) const {
  const double sampling_ms = std::max(times_.sampling_floor_ms,
                                      times_.sampling_ms_per_row * static_cast<double>(work.rows));
  const double ms = times_.overhead_ms + dense_ms(work.tokens) +
                    times_.prefill_attention_ms * work.prefill_attention +
                    times_.decode_attention_ms * static_cast<double>(work.decode_kv_tokens) +
                    sampling_ms;
  return ms * kSecondsPerMillisecond;
}

// All chunks but the last are equally long and so, but for their attention over the tokens before
// them, equally slow. That attention adds up to half the difference of two squares.
double StepModel::prefill_seconds(uint64_t prompt_tokens, uint64_t cached_tokens, uint32_t budget,
                                  const DecodeLoad& load) const {
  KVASIR_ASSERT(cached_tokens <= prompt_tokens, "no more tokens are cached than there are");
  KVASIR_ASSERT(budget > 0, "a step has a token budget");
  const uint64_t tokens = std::max<uint64_t>(1, prompt_tokens - cached_tokens);
  const uint64_t chunk = budget > load.rows ? budget - load.rows : 1;
  const uint64_t full_chunks = (tokens - 1) / chunk;

  StepWork step{chunk + load.rows, 0, load.kv_tokens, load.rows + 1};
  const double full_seconds = full_chunks == 0 ? 0 : step_seconds(step);
  step.tokens = tokens - full_chunks * chunk + load.rows;
  step.prefill_attention =
      static_cast<double>(tokens) *
      (static_cast<double>(prompt_tokens - tokens) + static_cast<double>(tokens) / 2);
  return static_cast<double>(full_chunks) * full_seconds + step_seconds(step);
}

double StepModel::dense_ms(uint64_t tokens) const {
  if (times_.padding > 1 && tokens > times_.padded_above) {
    tokens = (tokens + times_.padding - 1) / times_.padding * times_.padding;
  }
  const auto at = static_cast<double>(tokens);
  const Segment* segment = &segments_[first_segment_[std::bit_width(tokens)]];
  while (segment->last < at) ++segment;
  return segment->ms + segment->slope * (at - segment->at);
}

}  // namespace kvasir
