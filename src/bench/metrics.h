// What a replay measured, by AIPerf's formulas. Latencies count from the intended send time, and a
// request that failed is counted as an error and in no latency.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/outcome.h"

namespace kvasir {

// The value below which `percent` of `sorted` lies, interpolated between neighbours as numpy does
// by default. Precondition: not empty, ascending.
double percentile(const std::vector<double>& sorted, double percent);

struct Distribution {
  double mean = 0, min = 0, p50 = 0, p90 = 0, p99 = 0, p999 = 0, max = 0;
};
// Nothing for no values.
std::optional<Distribution> distribution_of(std::vector<double> values);

// How far the client itself was behind its schedule: sent - intended, wall-clock milliseconds. When
// p99 is above the limit, the figures tell of the client, not of the server.
struct SendLag {
  double p50_ms = 0, p99_ms = 0, max_ms = 0;
  double limit_ms =
      0;  // the larger of kSendLagFloorMs and kSendLagShare of the median TTFT (wall clock)

  bool fell_behind() const { return p99_ms > limit_ms; }
};
inline constexpr double kSendLagFloorMs = 10;
inline constexpr double kSendLagShare = 0.01;

struct ArmMetrics {
  std::string name;
  size_t requests = 0;  // failed ones too
  size_t errors = 0;
  std::map<std::string, size_t> errors_by_reason;
  std::map<std::string, size_t> requests_by_endpoint;  // of those whose endpoint is known
  std::optional<Distribution> ttft_ms;
  std::optional<Distribution> latency_ms;       // to the last text
  std::optional<Distribution> itl_ms;           // one value a request of 2 tokens or more
  std::optional<double> itl_token_weighted_ms;  // all waits between tokens over their number
  double duration_s = 0;  // from the first intended send to the last end of a good answer
  double requests_per_s = 0;
  double output_tokens_per_s = 0;
  uint64_t prompt_tokens = 0;  // this and the next two: of good answers
  uint64_t cached_tokens = 0;
  uint64_t output_tokens = 0;
  std::optional<double> hit_ratio;  // cached over prompt tokens; absent when no server tells
  SendLag send_lag;
};

// `time_scale`: how much faster than the trace's time the replay ran, to judge the send lag in real
// time.
ArmMetrics measure(const std::string& name, const std::vector<Outcome>& outcomes,
                   double time_scale);

}  // namespace kvasir
