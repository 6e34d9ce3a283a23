#include "apps/epp_metrics.h"

#include "apps/decision_log.h"
#include "apps/epp_buckets.h"
#include "apps/epp_pool_page.h"
#include "apps/log_page.h"
#include "apps/request_log.h"
#include "fleet/fleet.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

constexpr const char* kDecisions = "llmd_epp_scheduling_decisions_total";
constexpr const char* kDecisionsHelp = "Requests that came to the scheduler, by what it decided.";
// Keys of the attempts by where they went.
constexpr int64_t kNowhere = -1;
constexpr int64_t kPicked = 0;

constexpr const char* kRewrites = "llm_d_epp_model_rewrite_decisions_total";
constexpr const char* kAttempts = "llm_d_epp_scheduler_attempts_total";
constexpr const char* kAttemptsHelp = "Requests that came to the scheduler, and where they went.";
constexpr const char* kSchedulerDuration = "kvasir_epp_scheduler_duration_seconds";

const char* name_of(GrpcCode code) {
  switch (code) {
    case GrpcCode::kOk:
      return "OK";
    case GrpcCode::kCancelled:
      return "Canceled";
    case GrpcCode::kUnknown:
      return "Unknown";
    case GrpcCode::kInvalidArgument:
      return "InvalidArgument";
    case GrpcCode::kDeadlineExceeded:
      return "DeadlineExceeded";
    case GrpcCode::kNotFound:
      return "NotFound";
    case GrpcCode::kPermissionDenied:
      return "PermissionDenied";
    case GrpcCode::kResourceExhausted:
      return "ResourceExhausted";
    case GrpcCode::kUnimplemented:
      return "Unimplemented";
    case GrpcCode::kInternal:
      return "Internal";
    case GrpcCode::kUnavailable:
      return "Unavailable";
    case GrpcCode::kUnauthenticated:
      return "Unauthenticated";
  }
  return "Unknown";
}

Labels attempt_labels(const char* status, std::string_view target, std::string_view endpoint,
                      std::string_view port) {
  return {{"status", status},
          {"target_model_name", std::string(target)},
          {"endpoint_name", std::string(endpoint)},
          {"namespace", ""},
          {"port", std::string(port)}};
}

// A request without a body goes to any endpoint: no scheduler saw it.
bool was_scheduled(const DecisionTrace& trace) {
  return trace.candidates() > 0;
}

}  // namespace

EppMetrics::EppMetrics(EppMetricsOptions options, const Clock& clock, DecisionLog* log)
    : options_(std::move(options)),
      clock_(clock),
      log_(log),
      requests_(registry_),
      policies_(registry_),
      scheduling_(registry_.histogram(
          kSchedulerDuration, "How long the scheduler took for one request, in finer steps.",
          epp_buckets::kFineScheduling)),
      scheduling_summary_(registry_.summary("llmd_epp_scheduling_duration_seconds",
                                            "How long the scheduler took for one request, of the "
                                            "last ten minutes; within 3.2 percent.",
                                            clock)),
      processing_(registry_.histogram(
          "llm_d_epp_request_processing_duration_seconds",
          "From the last byte of a request to the decision, waiting in queues included.",
          epp_buckets::kProcessing)),
      answering_(registry_.histogram("llm_d_epp_response_processing_duration_seconds",
                                     "The picker's own work on all messages of one answer.",
                                     epp_buckets::kAnswerProcessing)),
      answer_message_(registry_.histogram("kvasir_epp_answer_message_duration_seconds",
                                          "The picker's own work on one message of an answer.",
                                          epp_buckets::kFineScheduling)),
      decisions_(registry_.counter(kDecisions, kDecisionsHelp, {{"result", "success"}})),
      decisions_no_pods_(registry_.counter(kDecisions, kDecisionsHelp, {{"result", "no_pods"}})),
      decisions_filtered_out_(
          registry_.counter(kDecisions, kDecisionsHelp, {{"result", "filtered_out"}})) {
  add_twins();
  if (options_.streams) {
    streams_ = &registry_.gauge("llm_d_epp_extproc_streams_inflight", "Open ext_proc streams.");
    stream_duration_ =
        &registry_.histogram("llm_d_epp_extproc_stream_duration_seconds",
                             "How long an ext_proc stream was open.", epp_buckets::kStream);
  }
  if (options_.version.empty()) return;
  registry_
      .gauge("llm_d_epp_info", "The build that runs.",
             {{"commit", ""}, {"build_ref", options_.version}})
      .set(1);
}

void EppMetrics::add_twins() {
  Mirror coarse{kSchedulerDuration};
  coarse.bounds = epp_buckets::kScheduling;
  registry_.mirror("llm_d_epp_scheduler_e2e_duration_seconds",
                   "How long the scheduler took for one request.", coarse);
  registry_.mirror("inference_extension_scheduler_e2e_duration_seconds",
                   "Deprecated: use llm_d_epp_scheduler_e2e_duration_seconds.", coarse);
  registry_.mirror("inference_extension_scheduler_attempts_total",
                   "Deprecated: use llm_d_epp_scheduler_attempts_total.",
                   {kAttempts,
                    {},
                    {{"status", "status"},
                     {"target_model_name", "target_model_name"},
                     {"endpoint_name", "pod_name"},
                     {"namespace", "namespace"},
                     {"port", "port"}}});
  Mirror rewrites{kRewrites};
  rewrites.keep_all = true;
  registry_.mirror("inference_extension_model_rewrite_decisions_total",
                   "Deprecated: use llm_d_epp_model_rewrite_decisions_total.", rewrites);
  Mirror info{"llm_d_epp_info"};
  info.keep_all = true;
  registry_.mirror("inference_extension_info", "Deprecated: use llm_d_epp_info.", info);
}

void EppMetrics::on_picked(const PickReport& report) {
  if (log_ != nullptr) log_->picked(report);
  processing_.observe(to_seconds(report.processing));
  if (!was_scheduled(report.trace)) return;
  decisions_.add();
  observe_scheduling(report.scheduling);
  requests_.of(report.labels).picked(report.request_bytes);
  EndpointSeries* picked = endpoint(report.decision.endpoint, report.fleet);
  count_attempt(report, picked);
  count_tokens(report, picked);
  policies_.picked(report, report.labels.target_model);
  const EndpointId id = report.decision.endpoint;
  const std::string& name = report.fleet.endpoints[index_of(id)].endpoint->name;
  if (Gauge* gauge = in_flight(report.labels, name)) gauge->add(1);
}

void EppMetrics::observe_scheduling(Duration took) {
  const double seconds = to_seconds(took);
  scheduling_.observe(seconds);
  scheduling_summary_.observe(seconds);
}

EppMetrics::EndpointSeries* EppMetrics::endpoint(EndpointId id, const Snapshot& fleet) {
  const Endpoint& endpoint = *fleet.endpoints[index_of(id)].endpoint;
  return endpoints_.find_or_make({{endpoint.name}, 0}, [&] {
    const auto counter = [&](const char* name, const char* help) {
      return &registry_.counter(name, help, {{"endpoint", endpoint.name}});
    };
    return EndpointSeries{endpoint.name,
                          std::to_string(endpoint.port),
                          counter("kvasir_epp_picked_prompt_tokens_total",
                                  "Prompt tokens of the requests that were sent to an endpoint."),
                          counter("kvasir_epp_picked_cached_tokens_total",
                                  "How many of those were expected in its cache."),
                          counter("kvasir_epp_picked_cached_bytes_total",
                                  "Prompt bytes that were expected in the cache of an endpoint."),
                          counter("kvasir_epp_picked_prompts_total",
                                  "Requests with a prompt that were sent to an endpoint.")};
  });
}

void EppMetrics::count_attempt(const PickReport& report, EndpointSeries* picked) {
  if (picked == nullptr) return;
  const std::string_view target = report.labels.target_model;
  const HandleKey key{{target, picked->name}, kPicked};
  Counter** counter = attempts_.find(key);
  if (counter == nullptr) {
    const std::string_view label = requests_.model(target);
    counter = attempts_.find_or_make({{label, picked->name}, kPicked}, [&] {
      return &registry_.counter(kAttempts, kAttemptsHelp,
                                attempt_labels("success", label, picked->name, picked->port));
    });
  }
  if (counter != nullptr) (*counter)->add();
}

void EppMetrics::count_tokens(const PickReport& report, EndpointSeries* picked) {
  if (picked == nullptr || !report.prompt_known) return;
  picked->prompt_tokens->add(report.prompt_tokens);
  picked->cached_tokens->add(report.decision.cached_tokens);
  if (report.prompt_tokens == 0) return;
  picked->prompts->add();
  picked->cached_bytes->add(report.prompt_bytes * report.decision.cached_tokens /
                            report.prompt_tokens);
}

// Null when there are too many of them: those are not counted, neither up nor down.
Gauge* EppMetrics::in_flight(const RequestLabels& labels, std::string_view endpoint) {
  Gauge** gauge = in_flight_.find({{labels.fairness_id, endpoint}, labels.priority});
  if (gauge == nullptr) {
    const std::string_view fairness_id = requests_.fairness_id(labels.fairness_id);
    gauge = in_flight_.find_or_make({{fairness_id, endpoint}, labels.priority}, [&] {
      return &registry_.gauge("llm_d_epp_inflight_requests",
                              "Requests that were sent to an endpoint and are not over.",
                              {{"endpoint_name", std::string(endpoint)},
                               {"namespace", ""},
                               {"producer_name", "epp"},
                               {"fairness_id", std::string(fairness_id)},
                               {"priority", std::to_string(labels.priority)}});
    });
  }
  return gauge == nullptr ? nullptr : *gauge;
}

void EppMetrics::on_refused(const RefusalReport& report) {
  if (log_ != nullptr) log_->refused(report);
  requests_.of(report.labels).refused(report.refusal.code);
  if (report.processing > Duration::zero()) processing_.observe(to_seconds(report.processing));
  count_failure(report);
}

// A request that was refused while it was served had been scheduled; one that never came to the
// scheduler was not.
void EppMetrics::count_failure(const RefusalReport& report) {
  const bool filtered = report.trace != nullptr && was_scheduled(*report.trace);
  const bool nobody =
      !filtered && report.trace != nullptr && report.refusal.dropped_reason == kNoEndpointsReason;
  if (!filtered && !nobody) return;
  (filtered ? decisions_filtered_out_ : decisions_no_pods_).add();
  if (report.scheduling > Duration::zero()) observe_scheduling(report.scheduling);
  if (filtered) policies_.refused(*report.trace);
  const std::string_view target = report.labels.target_model;
  Counter** counter = attempts_.find({{target}, kNowhere});
  if (counter == nullptr) {
    const std::string_view label = requests_.model(target);
    counter = attempts_.find_or_make({{label}, kNowhere}, [&] {
      return &registry_.counter(kAttempts, kAttemptsHelp, attempt_labels("failure", label, "", ""));
    });
  }
  if (counter != nullptr) (*counter)->add();
}

void EppMetrics::on_answer_processed(Duration took) {
  answer_message_.observe(to_seconds(took));
}

void EppMetrics::on_ended(const EndReport& report) {
  log_request(report);
  if (!report.scheduled || report.endpoint == nullptr) return;
  kv_predictions_.ended(report);
  requests_.of(report.labels).ended(report);
  if (Gauge* gauge = in_flight(report.labels, report.endpoint->name)) gauge->add(-1);
  if (report.processing > Duration::zero()) answering_.observe(to_seconds(report.processing));
}

void EppMetrics::on_stream_started() {
  if (streams_ != nullptr) streams_->add(1);
}

void EppMetrics::on_stream_ended(GrpcCode code, Duration took) {
  if (streams_ == nullptr) return;
  streams_->add(-1);
  stream_duration_->observe(to_seconds(took));
  registry_
      .counter("llm_d_epp_extproc_streams_total", "ext_proc streams that are over, by their code.",
               {{"code", name_of(code)}})
      .add();
}

void EppMetrics::on_scrape_failed(const Endpoint& endpoint, std::string_view source_type,
                                  bool extract, std::string_view why, bool first) {
  const std::string source(source_type);
  if (extract) {
    registry_
        .counter("llm_d_epp_datalayer_extract_errors_total",
                 "Metrics pages that held nothing of what was wanted.",
                 {{"source_type", source}, {"extractor_type", "core-metrics-extractor"}})
        .add();
  } else {
    registry_
        .counter("llm_d_epp_datalayer_poll_errors_total", "Metrics pages that did not come.",
                 {{"source_type", source}})
        .add();
  }
  PoolMetrics::on_scrape_failed(endpoint, source_type, extract, why, first);
}

void EppMetrics::on_certificate_read(std::string_view error) {
  if (error.empty()) return log_info("new connections get the new certificate");
  log_error("the changed certificate is not used, the one before stays: " + std::string(error));
}

FlowMetrics& EppMetrics::flow_metrics() {
  std::call_once(flow_made_, [this] { flow_.emplace(registry_, requests_, options_.pool); });
  return *flow_;
}

void EppMetrics::on_outcome(const Request& request, int32_t band, FlowOutcome outcome,
                            Duration held) {
  flow_metrics().on_outcome(request, band, outcome, held);
}

void EppMetrics::on_cycle(Duration took) {
  flow_metrics().on_cycle(took);
}

void EppMetrics::on_revoked(Duration after) {
  flow_metrics().on_revoked(after);
}

std::string EppMetrics::page(const Snapshot& fleet, const FlowStats* flow,
                             const std::vector<PluginReading>& readings) {
  const std::string flow_page = flow != nullptr ? flow_metrics().page(*flow) : "";
  std::string text = registry_.expose() + flow_page;
  text += epp_pool_page(fleet, options_.pool, clock_.now(), options_.staleness);
  text += cache_page(fleet);
  text += readings_page(fleet, readings);
  text += log_page();
  return text;
}

std::string EppMetrics::readings_page(const Snapshot& fleet,
                                      const std::vector<PluginReading>& readings) {
  MetricRegistry page;
  for (const PluginReading& reading : readings) {
    if (reading.what == "prefix_indexer_size") {
      page.gauge("llm_d_epp_prefix_indexer_size",
                 "Blocks that are guessed to be in the caches of all endpoints.",
                 {{"plugin_name", reading.plugin_name}, {"plugin_type", reading.plugin_type}})
          .set(reading.value);
      page.gauge("inference_extension_prefix_indexer_size",
                 "Deprecated: use llm_d_epp_prefix_indexer_size.")
          .add(reading.value);
    }
    if (reading.what == "inflight_tokens" && reading.endpoint &&
        index_of(*reading.endpoint) < fleet.endpoints.size()) {
      page.gauge("llm_d_epp_inflight_tokens",
                 "Prompt tokens that were sent to an endpoint, are not cached there, and of which "
                 "no answer was seen yet.",
                 {{"endpoint_name", fleet.endpoints[index_of(*reading.endpoint)].endpoint->name},
                  {"namespace", ""},
                  {"producer_name", reading.plugin_name},
                  {"fairness_id", ""},
                  {"priority", ""}})
          .set(reading.value);
    }
  }
  return page.expose();
}

// What is worked out from counters, of the endpoints that are there.
std::string EppMetrics::cache_page(const Snapshot& fleet) const {
  MetricRegistry page;
  for (uint32_t i = 0; i < fleet.endpoints.size(); ++i) {
    const EndpointSeries* series = endpoints_.find({{fleet.endpoints[i].endpoint->name}, 0});
    if (series == nullptr || series->prompt_tokens->value() == 0) continue;
    page.gauge("llmd_epp_cache_hit_rate",
               "Share of the prompt tokens sent to an endpoint that were expected in its cache, "
               "since the start.",
               {{"pod", series->name}})
        .set(static_cast<double>(series->cached_tokens->value()) /
             static_cast<double>(series->prompt_tokens->value()));
    page.gauge("llmd_epp_cache_prefix_length_bytes",
               "Prompt bytes that were expected in an endpoint's cache, the mean of all requests "
               "sent there since the start.",
               {{"pod", series->name}})
        .set(static_cast<double>(series->cached_bytes->value()) /
             static_cast<double>(series->prompts->value()));
  }
  if (log_ != nullptr) log_->add_counts(page, "kvasir_epp_decision_log_");
  return page.expose();
}

// A client may name any model, also one that only a rule for every model is for.
void EppMetrics::on_model_rewritten(std::string_view rewrite, std::string_view model,
                                    std::string_view target) {
  const std::string_view asked = requests_.model(model);
  Counter** counter = rewrites_.find_or_make({{rewrite, asked, target}}, [&] {
    return &registry_.counter(kRewrites,
                              "Requests that an InferenceModelRewrite sent on with a model.",
                              {{"model_rewrite_name", std::string(rewrite)},
                               {"model_name", std::string(asked)},
                               {"target_model", std::string(target)}});
  });
  if (counter != nullptr) (*counter)->add();
}

void EppMetrics::on_replica_found(uint64_t, size_t others) {
  log_info("sharing load and sessions with " + std::to_string(others) +
           " other replicas: one more");
}

void EppMetrics::on_replica_lost(uint64_t, size_t others) {
  log_warning("sharing load and sessions with " + std::to_string(others) +
              " other replicas: one fell silent, its load is forgotten");
}

void EppMetrics::on_replica_trouble(std::string_view what) {
  log_repeated(LogLevel::kWarning, "troubles with replicas", "replicas: " + std::string(what));
}

void EppMetrics::on_replica_refused(ReplicaRefusal reason) {
  static constexpr const char* kReasons[] = {"unauthenticated", "not_understood", "too_many"};
  registry_
      .counter("kvasir_epp_replica_streams_refused_total",
               "Streams of replicas, or of strangers, that were ended.",
               {{"reason", kReasons[static_cast<size_t>(reason)]}})
      .add();
}

}  // namespace kvasir
