#include "bench/outcome.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/integer_text.h"

namespace kvasir {
namespace {

double to_microseconds_precision(double milliseconds) {
  return std::round(milliseconds * 1000) / 1000;
}

}  // namespace

std::string to_json_line(const Outcome& outcome) {
  nlohmann::ordered_json line;
  line["row"] = outcome.row;
  line["request_id"] = outcome.request_id;
  line["intended_ms"] = to_microseconds_precision(outcome.intended_ms);
  line["sent_ms"] = to_microseconds_precision(outcome.sent_ms);
  line["end_ms"] = to_microseconds_precision(outcome.end_ms);
  if (outcome.ttft_ms > 0) line["ttft_ms"] = to_microseconds_precision(outcome.ttft_ms);
  line["latency_ms"] = to_microseconds_precision(outcome.latency_ms);
  const auto itl_ms = outcome.itl_ms();
  if (itl_ms && outcome.ok()) line["itl_ms"] = to_microseconds_precision(*itl_ms);
  line["prompt_tokens"] = outcome.prompt_tokens;
  if (outcome.cached_tokens) line["cached_tokens"] = *outcome.cached_tokens;
  line["output_tokens"] = outcome.output_tokens;
  if (!outcome.endpoint.empty()) line["endpoint"] = outcome.endpoint;
  line["status"] = outcome.status;
  if (!outcome.ok()) {
    line["error"] = outcome.error;
    line["error_detail"] = outcome.error_detail;
  }
  line["answer_hash"] = hexadecimal(outcome.answer_hash);
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace kvasir
