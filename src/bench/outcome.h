// How one request of a replay ended. All times are those of the trace (unscaled), in milliseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace kvasir {

struct Outcome {
  size_t row = 0;              // in the trace, from 0
  std::string request_id;      // as sent in x-request-id
  double intended_ms = 0;      // when it was due, since the first request was due
  double sent_ms = 0;          // when it was sent, on the same clock
  double end_ms = 0;           // when its answer was complete or lost, on the same clock
  double ttft_ms = 0;          // from intended_ms to the first text; 0 without any
  double latency_ms = 0;       // from intended_ms to the last text, or to the end when it failed
  uint64_t prompt_tokens = 0;  // as the server counted
  std::optional<uint64_t> cached_tokens;
  uint64_t output_tokens = 0;  // as the server counted
  std::string endpoint;        // x-selected-pod: who answered; empty when nobody said
  int status = 0;              // of HTTP; 0 when no answer began
  std::string error;  // a short reason, the same for alike failures; empty: all went as asked
  std::string error_detail;  // the words that came with it
  uint64_t answer_hash = 0;  // of the text: equal texts have equal hashes

  bool ok() const { return error.empty(); }
  // AIPerf's inter-token latency: (latency - TTFT) / (output tokens - 1), from 2 tokens on.
  std::optional<double> itl_ms() const {
    if (output_tokens < 2) return std::nullopt;
    return (latency_ms - ttft_ms) / static_cast<double>(output_tokens - 1);
  }
};

// One JSON object with a line end. Times have microseconds.
std::string to_json_line(const Outcome& outcome);

}  // namespace kvasir
