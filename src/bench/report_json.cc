#include <nlohmann/json.hpp>

#include "bench/report.h"

namespace kvasir {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const std::optional<Distribution>& values) {
  if (!values) return nullptr;
  return {{"mean", values->mean}, {"min", values->min}, {"p50", values->p50},
          {"p90", values->p90},   {"p99", values->p99}, {"p99.9", values->p999},
          {"max", values->max}};
}

Json to_json(const std::optional<double>& value) {
  if (!value) return nullptr;
  return *value;
}

Json to_json(const SendLag& lag) {
  return {{"p50", lag.p50_ms}, {"p99", lag.p99_ms}, {"max", lag.max_ms}, {"limit", lag.limit_ms}};
}

Json to_json(const ArmMetrics& arm) {
  Json json;
  json["name"] = arm.name;
  json["requests"] = arm.requests;
  json["errors"] = arm.errors;
  json["errors_by_reason"] = arm.errors_by_reason;
  json["ttft_ms"] = to_json(arm.ttft_ms);
  json["itl_ms"] = to_json(arm.itl_ms);
  json["latency_ms"] = to_json(arm.latency_ms);
  json["itl_token_weighted_ms"] = to_json(arm.itl_token_weighted_ms);
  json["output_tokens_per_s"] = arm.output_tokens_per_s;
  json["requests_per_s"] = arm.requests_per_s;
  json["hit_ratio"] = to_json(arm.hit_ratio);
  json["duration_s"] = arm.duration_s;
  json["prompt_tokens"] = arm.prompt_tokens;
  json["cached_tokens"] = arm.cached_tokens;
  json["output_tokens"] = arm.output_tokens;
  json["requests_by_endpoint"] = arm.requests_by_endpoint;
  json["send_lag_wall_ms"] = to_json(arm.send_lag);
  return json;
}

}  // namespace

std::string report_json(const Report& report) {
  Json json;
  json["arms"] = Json::array();
  for (const ArmMetrics& arm : report.arms) json["arms"].push_back(to_json(arm));
  json["ceiling"] = report.hit_ceiling;
  if (report.rows_with_other_tokens) {
    json["same_tokens"] = report.rows_with_other_tokens->empty();
    json["rows_with_other_tokens"] = *report.rows_with_other_tokens;
  }
  json["trace"] = report.trace;
  json["trace_hash"] = report.trace_hash;
  json["first_row"] = report.first_row;
  json["requests"] = report.requests;
  json["span_s"] = report.span_s;
  json["bin_ms"] = report.bin_ms;
  json["prompt_tokens"] = report.prompt_tokens;
  json["output_tokens"] = report.output_tokens;
  json["model"] = report.model;
  json["seed"] = report.seed;
  json["speed"] = report.speed;
  json["time_scale"] = report.time_scale;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace kvasir
