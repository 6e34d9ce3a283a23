#include "apps/sidecar_metrics.h"

#include <optional>

#include "apps/log_page.h"
#include "net/http/http_status.h"
#include "telemetry/exposition.h"
#include "telemetry/log.h"
#include "wire/prometheus_text.h"

namespace kvasir {
namespace {

using Path = HandoffReport::Path;

// From 5 ms to 300 s, as upstream's.
const std::vector<double> kLegSeconds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
                                         2.5,   5,    10,    30,   60,  120,  300};
constexpr std::string_view kPrefix = "llmd_sidecar_";

std::string_view words_of(Path path) {
  switch (path) {
    case Path::kTwoLegs:
      return "prefilled elsewhere";
    case Path::kNoHandoff:
      return "prefilled elsewhere, and here again";
    case Path::kLocal:
      return "prefilled here";
    case Path::kRefused:
      return "refused";
    case Path::kUndecided:
      return "given up";
  }
  return "?";
}

std::string_view label_of(Path path) {
  constexpr std::string_view kLabels[] = {"given-up", "two-legs", "no-handoff", "local", "refused"};
  return kLabels[static_cast<size_t>(path)];
}

std::string named(std::string_view name) {
  return std::string(kPrefix).append(name);
}

void append_value(std::string_view name, std::string_view help, std::string_view type,
                  const Labels& labels, double value, std::string& page) {
  append_exposition_head(name, help, type, page);
  append_exposition_line(name, "", exposition_labels(labels), exposition_number(value), page);
}

}  // namespace

SidecarMetrics::SidecarMetrics(const Clock& clock, const std::string& connector,
                               uint64_t kv_bytes_per_token)
    : connector_(connector),
      kv_bytes_per_token_(kv_bytes_per_token),
      succeeded_(registry_.counter(named("requests_total"), "Requests that are over.",
                                   {{"status", "success"}})),
      failed_(registry_.counter(named("requests_total"), "Requests that are over.",
                                {{"status", "failure"}})),
      duration_(registry_.summary(named("request_duration_seconds"),
                                  "From a request's last byte to its answer's.", clock)),
      prefills_(registry_.counter(named("prefill_requests_total"),
                                  "Legs that were sent to prefill workers.")),
      decodes_(registry_.counter(named("decode_requests_total"),
                                 "Requests and legs that were sent to the decode worker.")),
      prefill_connections_(registry_.counter(
          named("connection_errors_total"),
          "Connections to workers that could not be made, or broke before the answer was whole.",
          {{"to", "prefill"}})),
      decode_connections_(registry_.counter(
          named("connection_errors_total"),
          "Connections to workers that could not be made, or broke before the answer was whole.",
          {{"to", "decode"}})),
      in_flight_(
          registry_.gauge("kvasir_sidecar_requests_in_flight", "Requests that are relayed now.")),
      blocked_(registry_.counter(
          named("ssrf_blocked_requests_total"),
          "Prefill workers that requests named and the allowlist does not have.")),
      disaggregated_(registry_.counter("llm_d_disagg_sidecar_disagg_requests_total",
                                       "Requests whose prompt was prefilled elsewhere.",
                                       {{"connector", connector}})),
      prefill_duration_(registry_.histogram("llm_d_disagg_sidecar_prefill_duration_seconds",
                                            "A prefill leg, from its start to its answer's end.",
                                            kLegSeconds, {{"connector", connector}})),
      decode_duration_(registry_.histogram("llm_d_disagg_sidecar_decode_duration_seconds",
                                           "A decode leg, from its start to its answer's end.",
                                           kLegSeconds, {{"connector", connector}})),
      prefill_errors_(registry_.counter("llm_d_disagg_sidecar_request_errors_total",
                                        "Requests whose client got an error, or half an answer.",
                                        {{"connector", connector}, {"stage", "prefill"}})),
      decode_errors_(registry_.counter("llm_d_disagg_sidecar_request_errors_total",
                                       "Requests whose client got an error, or half an answer.",
                                       {{"connector", connector}, {"stage", "decode"}})) {
  for (size_t i = 0; i < kApis.size(); ++i) {
    by_api_[i] = &registry_.counter("llm_d_disagg_sidecar_requests_total",
                                    "Requests that are over, by their API.",
                                    {{"api_type", std::string(kApis[i])}});
  }
  for (size_t i = 0; i < by_path_.size(); ++i) {
    by_path_[i] =
        &registry_.counter("kvasir_sidecar_decisions_total",
                           "Requests with a prefill worker named, by what became of them.",
                           {{"path", std::string(label_of(static_cast<Path>(i)))}});
  }
}

void SidecarMetrics::on_leg(LegStage stage) {
  (stage == LegStage::kPrefill ? prefills_ : decodes_).add();
}

void SidecarMetrics::on_connection_failed(LegStage stage, std::string_view why) {
  const bool prefill = stage == LegStage::kPrefill;
  (prefill ? prefill_connections_ : decode_connections_).add();
  log_repeated(LogLevel::kWarning, "connections to workers that failed",
               std::string("connector_error: ") + (prefill ? "prefill" : "decode") + " worker " +
                   std::string(why));
}

void SidecarMetrics::on_done(const LegsReport& report) {
  in_flight_.add(-1);
  count(report);
  log(report);
}

size_t SidecarMetrics::api_of(const LegsReport& report) {
  constexpr std::string_view kPaths[] = {"/v1/chat/completions", "/v1/completions", "/v1/responses",
                                         "/v1/messages", "/inference/v1/generate"};
  for (size_t i = 0; i < std::size(kPaths); ++i) {
    if (report.generates && report.path == kPaths[i]) return i;
  }
  return kApis.size() - 1;
}

void SidecarMetrics::count(const LegsReport& report) {
  const bool success = report.status < kHttpErrors && !report.is_cut;
  (success ? succeeded_ : failed_).add();
  by_api_[api_of(report)]->add();
  if (report.generates) duration_.observe(to_seconds(report.time));
  if (report.failed_at == LegStage::kPrefill) prefill_errors_.add();
  if (report.failed_at == LegStage::kDecode) decode_errors_.add();
  if (report.generates && report.decode_time) {
    decode_duration_.observe(to_seconds(*report.decode_time));
  }
  if (report.handoff == nullptr) {  // nobody was named to prefill
    if (report.generates) by_path_[static_cast<size_t>(Path::kLocal)]->add();
    return;
  }
  by_path_[static_cast<size_t>(report.handoff->path)]->add();
  if (report.handoff->prefill_time) {
    prefill_duration_.observe(to_seconds(*report.handoff->prefill_time));
  }
  if (report.handoff->path != Path::kTwoLegs) return;
  disaggregated_.add();
  if (!report.handoff->tokens) return;
  handed_over_tokens_.fetch_add(*report.handoff->tokens, std::memory_order_relaxed);
  tokens_known_.store(true, std::memory_order_relaxed);
}

// What went wrong; each decision when it is made for the first time; every request at level debug.
void SidecarMetrics::log(const LegsReport& report) {
  const HandoffReport* const handoff = report.handoff;
  const bool failed = report.status >= kHttpServerErrors || report.is_cut;
  const bool first = handoff != nullptr && !path_told_[static_cast<size_t>(handoff->path)].exchange(
                                               true, std::memory_order_relaxed);
  if (!failed && !first && !log_takes(LogLevel::kDebug)) return;
  std::string line = "request " + std::string(report.request_id) + ": " +
                     std::to_string(report.status) + (report.is_cut ? ", cut" : "");
  if (!report.why.empty()) line += ", " + std::string(report.why);
  if (handoff != nullptr) {
    line += ", prefill_decision: ";
    line += words_of(handoff->path);
    if (!report.prefiller.empty()) line += " by " + std::string(report.prefiller);
    if (!handoff->problem.empty()) line += ", connector_error: " + handoff->problem;
  }
  if (failed) return log_repeated(LogLevel::kWarning, "requests that failed", line);
  first ? log_info(line + " (the first of its kind)") : log_debug(line);
}

void SidecarMetrics::on_refused(int status, std::string_view why) {
  failed_.add();
  if (status == kHttpForbidden) return;  // on_blocked() has said so, and of which worker
  log_repeated(LogLevel::kInfo, "requests that were refused",
               "refused with " + std::to_string(status) + ": " + std::string(why));
}

void SidecarMetrics::on_blocked(std::string_view worker) {
  blocked_.add();
  log_repeated(LogLevel::kWarning, "prefill workers that are not allowed",
               "not in the allowlist: " + std::string(worker));
}

void SidecarMetrics::on_certificate_read(const std::string& problem) {
  if (problem.empty()) return log_info("the certificate was read again");
  log_warning("the certificate stays as it is: " + problem);
}

// What the engine measured; and what was handed over, where somebody said how large a token is.
// Without either there is nothing to tell, and no line.
std::string SidecarMetrics::page(const SidecarState& state) const {
  std::string page = registry_.expose();
  append_value(named("active_connections"), "Connections of clients that are open now.", "gauge",
               {}, static_cast<double>(state.connections), page);
  if (state.allowed) {
    append_value(named("allowlist_size"), "Prefill workers that requests may name.", "gauge", {},
                 static_cast<double>(*state.allowed), page);
  }
  const std::optional<double> bytes =
      sum_metric(state.engine_page, "vllm:nixl_bytes_transferred_sum");
  const std::optional<double> seconds =
      sum_metric(state.engine_page, "vllm:nixl_xfer_time_seconds_sum");
  const std::string bytes_name = named("kv_cache_transfer_bytes");
  const bool handed_over = kv_bytes_per_token_ > 0 && tokens_known_.load(std::memory_order_relaxed);
  if (bytes || handed_over) {
    append_exposition_head(
        bytes_name,
        "Bytes of KV that came from prefill workers, by who says so: the "
        "decode worker (engine), or tokens handed over x bytes a token (handoff).",
        "counter", page);
  }
  const auto line = [&](std::string_view source, double value) {
    append_exposition_line(bytes_name, "", exposition_labels({{"source", std::string(source)}}),
                           exposition_number(value), page);
  };
  if (bytes) line("engine", *bytes);
  if (handed_over) {
    line("handoff", static_cast<double>(handed_over_tokens_.load(std::memory_order_relaxed)) *
                        static_cast<double>(kv_bytes_per_token_));
  }
  if (seconds) {
    append_value(named("kv_cache_transfer_duration_seconds"),
                 "Time that the decode worker says it waited for KV of prefill workers, added up.",
                 "counter", {{"source", "engine"}}, *seconds, page);
  }
  // An engine of ours has the same families on its part of the page.
  return state.engine_page.find("kvasir_log_lines_") == std::string_view::npos ? page + log_page()
                                                                               : page;
}

}  // namespace kvasir
