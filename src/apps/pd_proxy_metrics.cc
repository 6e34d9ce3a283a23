#include "apps/pd_proxy_metrics.h"

#include <cstdio>
#include <utility>

#include "apps/log_page.h"
#include "net/http/http_status.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

constexpr size_t kWorkerNamesMost = 256;

const std::vector<double>& pd_bounds() {
  static const std::vector<double> kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                              0.5,   1,      2.5,   5,    10,    25,   60,  300};
  return kBounds;
}

std::string_view word_of(P2pRole role) {
  return role == P2pRole::kPrefill ? "prefill" : "decode";
}

std::string_view kind_of(const PdReport& report) {
  if (report.legs.handoff == nullptr) return "passed_on";
  if (report.is_long) return "too_long";
  switch (report.legs.handoff->path) {
    case HandoffReport::Path::kTwoLegs:
      return "two_legs";
    case HandoffReport::Path::kLocal:
    case HandoffReport::Path::kNoHandoff:
      return "decode_alone";
    default:
      return "failed";
  }
}

void append_seconds(std::string_view name, std::optional<Duration> time, std::string& line) {
  if (!time) return;
  char text[48];
  std::snprintf(text, sizeof text, "%.1f", to_milliseconds(*time));
  line.append(" ").append(name).append("=").append(text);
}

// A client chooses its id: what would break the line stays out.
void append_id(std::string_view id, std::string& line) {
  for (const char c : id) line += c > ' ' && c < '\x7f' && c != '"' ? c : '?';
}

}  // namespace

std::string pd_access_line(const PdReport& report) {
  const LegsReport& legs = report.legs;
  std::string line(report.method);
  line.append(" ").append(legs.path).append(" ").append(std::to_string(legs.status));
  if (legs.is_cut) line += " cut";
  line += " request_id=";
  append_id(report.leg_id, line);
  // The id that its client gave it; engines do not see it.
  if (report.leg_id.find(legs.request_id) == std::string_view::npos) {
    line += " client_request_id=";
    append_id(legs.request_id, line);
  }
  line.append(" kind=").append(kind_of(report));
  if (!legs.prefiller.empty()) line.append(" prefill=").append(legs.prefiller);
  if (!legs.decoder.empty()) line.append(" decode=").append(legs.decoder);
  if (legs.handoff != nullptr) append_seconds("prefill_ms", legs.handoff->prefill_time, line);
  append_seconds("first_byte_ms", legs.first_byte_time, line);
  append_seconds("total_ms", legs.time, line);
  if (!legs.why.empty()) line.append(": ").append(legs.why);
  return line;
}

PdProxyMetrics::PdProxyMetrics(bool access_log)
    : access_log_(access_log),
      worker_names_(kWorkerNamesMost),
      request_seconds_(registry_.histogram(
          "kvasir_pd_proxy_request_seconds",
          "From a request's last byte to the end of its answer; of requests with two legs.",
          pd_bounds())),
      prefill_seconds_(registry_.histogram(
          "kvasir_pd_proxy_prefill_seconds",
          "From the first prefill leg's start to the end of the one that counted.", pd_bounds())),
      first_byte_seconds_(registry_.histogram(
          "kvasir_pd_proxy_first_byte_seconds",
          "From a request's last byte to the first byte of the decoder's answer; of requests with "
          "two legs.",
          pd_bounds())) {}

void PdProxyMetrics::on_done(const PdReport& report) {
  const LegsReport& legs = report.legs;
  registry_
      .counter(
          "kvasir_pd_proxy_requests_total",
          "Requests that are over, by what became of their legs and the status that the client "
          "saw (499: it left before).",
          {{"kind", std::string(kind_of(report))}, {"code", std::to_string(legs.status)}})
      .add();
  if (legs.is_cut) {
    registry_
        .counter("kvasir_pd_proxy_cut_answers_total",
                 "Answers that had begun and could not be completed.")
        .add();
  }
  if (legs.handoff != nullptr) {
    request_seconds_.observe(to_seconds(legs.time));
    if (legs.first_byte_time) first_byte_seconds_.observe(to_seconds(*legs.first_byte_time));
    if (legs.handoff->prefill_time) {
      prefill_seconds_.observe(to_seconds(*legs.handoff->prefill_time));
    }
  }
  log(report);
}

void PdProxyMetrics::log(const PdReport& report) const {
  const bool failed = report.legs.status >= kHttpServerErrors || report.legs.is_cut;
  if (failed) {
    log_repeated(LogLevel::kWarning, "requests that failed", pd_access_line(report));
  } else if (access_log_ && report.legs.handoff != nullptr && log_takes(LogLevel::kInfo)) {
    log_info(pd_access_line(report));
  } else if (log_takes(LogLevel::kDebug)) {
    log_debug(pd_access_line(report));
  }
}

void PdProxyMetrics::on_refused(int status, std::string_view why) {
  registry_
      .counter("kvasir_pd_proxy_refused_total", "Requests that no worker was asked about.",
               {{"code", std::to_string(status)}})
      .add();
  log_repeated(LogLevel::kInfo, "requests that were refused",
               "refused with " + std::to_string(status) + ": " + std::string(why));
}

Counter& PdProxyMetrics::legs(std::string_view name, std::string_view help, const PdWorker& worker,
                              std::string_view end) {
  const std::string address = to_string(worker.address);
  Labels labels = {{"worker", std::string(worker_names_(address))}};
  if (!end.empty()) labels.push_back({"end", std::string(end)});
  return registry_.counter(name, help, labels);
}

void PdProxyMetrics::on_prefill_ended(const PdWorker& worker, LegsObserver::End end) {
  const std::string_view word = end == LegsObserver::End::kAnswered ? "answered"
                                : end == LegsObserver::End::kFailed ? "failed"
                                                                    : "cancelled";
  legs("kvasir_pd_proxy_prefill_legs_total", "Prefill legs that are over, by how they ended.",
       worker, word)
      .add();
}

void PdProxyMetrics::on_decoder_failed(const PdWorker& worker) {
  legs("kvasir_pd_proxy_decode_failures_total",
       "Decode legs whose connection or answer failed, or had a status of 500 and more.", worker,
       {})
      .add();
}

void PdProxyMetrics::count_registration(std::string_view result) {
  registry_
      .counter("kvasir_pd_proxy_registrations_total",
               "Registrations of workers: new, again, full (there are as many as there may be) or "
               "malformed.",
               {{"result", std::string(result)}})
      .add();
}

void PdProxyMetrics::on_heard(PdWorkers::Heard what, const P2pRegistration& registration) {
  const std::string_view word = what == PdWorkers::Heard::kNew    ? "new"
                                : what == PdWorkers::Heard::kFull ? "full"
                                                                  : "again";
  count_registration(word);
  const std::string who = std::string(word_of(registration.role)) + " worker " +
                          registration.http_address + " (" + registration.zmq_address + ")";
  if (what == PdWorkers::Heard::kNew) log_info("registered: " + who);
  if (what == PdWorkers::Heard::kFull) {
    log_repeated(LogLevel::kWarning, "registrations beyond the limit",
                 "there are as many registered workers as there may be; not taken: " + who);
  }
}

void PdProxyMetrics::on_malformed(std::string_view why) {
  count_registration("malformed");
  log_repeated(LogLevel::kWarning, "registrations that cannot be read",
               "a registration cannot be read: " + std::string(why));
}

void PdProxyMetrics::on_expired(const PdWorker& worker) {
  registry_
      .counter("kvasir_pd_proxy_registrations_expired_total",
               "Registered workers that were not heard for --registration-ttl.")
      .add();
  log_warning("no registration any more of the " + std::string(word_of(worker.role)) + " worker " +
              to_string(worker.address) + ": it gets no more requests");
}

std::string PdProxyMetrics::page(const PdWorkers& workers, size_t waiting, TimePoint now) {
  MetricRegistry of_workers;
  of_workers
      .gauge("kvasir_pd_proxy_requests_waiting",
             "Requests that wait for room at the prefill workers (--fs-max-prompt-tokens).")
      .set(static_cast<double>(waiting));
  for (const P2pRole role : {P2pRole::kPrefill, P2pRole::kDecode}) {
    for (const char* state : {"ready", "avoided", "unknown_socket"}) {
      of_workers.gauge("kvasir_pd_proxy_workers", "Workers, by role and state.",
                       {{"role", std::string(word_of(role))}, {"state", state}});
    }
  }
  for (const PdWorkers::Listed& each : workers.list()) {
    const PdWorker& worker = *each.worker;
    const char* const state = worker.name.empty()      ? "unknown_socket"
                              : worker.is_avoided(now) ? "avoided"
                                                       : "ready";
    const std::string role(word_of(worker.role));
    of_workers
        .gauge("kvasir_pd_proxy_workers", "Workers, by role and state.",
               {{"role", role}, {"state", state}})
        .add(1);
    of_workers
        .gauge("kvasir_pd_proxy_legs",
               "Legs that are under way at a worker; of decode workers from the choice on.",
               {{"role", role}, {"worker", to_string(worker.address)}})
        .set(worker.legs.load(std::memory_order_relaxed));
    if (worker.role != P2pRole::kPrefill) continue;
    of_workers
        .gauge("kvasir_pd_proxy_prefill_tokens",
               "Tokens of the prompts under way at a prefill worker, at most, as "
               "--fs-max-prompt-tokens counts them.",
               {{"worker", to_string(worker.address)}})
        .set(static_cast<double>(worker.prompt_tokens.load(std::memory_order_relaxed)));
  }
  return registry_.expose() + of_workers.expose() + log_page();
}

}  // namespace kvasir
