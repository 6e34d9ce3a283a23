#include "apps/epp_policy_series.h"

#include <algorithm>
#include <array>

#include "apps/epp_buckets.h"
#include "apps/epp_request_series.h"

namespace kvasir {
namespace {

using Step = DecisionTrace::Step;

constexpr size_t kSteps = 4;
constexpr std::array<const char*, kSteps> kExtensionPoints = {"DataProducer", "Filter", "Scorer",
                                                              "Picker"};
constexpr std::string_view kDurations = "kvasir_epp_plugin_duration_seconds";

bool is_prefix_producer(const PluginLabel& plugin) {
  return plugin.type.ends_with("prefix-cache-producer");
}
bool is_disagg_handler(const PluginLabel& plugin) {
  return plugin.type == "disagg-profile-handler" || plugin.type == "pd-profile-handler";
}

bool same_plugins(const std::vector<PluginLabel>& left, const std::vector<PluginLabel>& right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](const PluginLabel& a, const PluginLabel& b) {
                      return a.name == b.name && a.type == b.type;
                    });
}

void add_duration_mirrors(MetricRegistry& registry) {
  const std::string of(kDurations);
  const auto add = [&](const char* name, const char* help, Mirror mirror) {
    mirror.of = of;
    registry.mirror(name, help, std::move(mirror));
  };
  Mirror upstream;
  upstream.keep_all = true;
  upstream.bounds = epp_buckets::kScheduling;
  add("llm_d_epp_plugin_duration_seconds", "How long a plugin took for one request.", upstream);
  add("inference_extension_plugin_duration_seconds",
      "Deprecated: use llm_d_epp_plugin_duration_seconds.", upstream);
  Mirror seed;
  seed.where = {{"extension_point", "Filter"}};
  seed.keep = {{"plugin_name", "filter"}};
  add("llmd_epp_filter_duration_seconds", "How long a filter took for one request.", seed);
  seed.where = {{"extension_point", "Scorer"}};
  seed.keep = {{"plugin_name", "scorer"}};
  add("llmd_epp_scorer_duration_seconds", "How long a scorer took for one request.", seed);
}

void add_mirrors(MetricRegistry& registry) {
  add_duration_mirrors(registry);
  for (const char* name : {"prefix_indexer_hit_ratio", "prefix_indexer_hit_bytes"}) {
    registry.mirror("inference_extension_" + std::string(name),
                    "Deprecated: use llm_d_epp_" + std::string(name) + ".",
                    {"llm_d_epp_" + std::string(name)});
  }
  const Labels keep = {{"model_name", "model_name"}, {"decision_type", "decision_type"}};
  for (const char* name :
       {"llm_d_inference_scheduler_disagg_decision_total",
        "llm_d_inference_scheduler_pd_decision_total", "llm_d_epp_pd_decision_total"}) {
    registry.mirror(name, "Deprecated: use llm_d_epp_disagg_decision_total.",
                    {"llm_d_epp_disagg_decision_total", {}, keep});
  }
}

Labels plugin_labels(const PluginLabel& plugin) {
  return {{"plugin_name", plugin.name}, {"plugin_type", plugin.type}};
}

Counter& cached(std::atomic<Counter*>& place, MetricRegistry& registry, const char* name,
                const char* help) {
  Counter* counter = place.load(std::memory_order_acquire);
  if (counter != nullptr) return *counter;
  counter = &registry.counter(name, help);
  place.store(counter, std::memory_order_release);
  return *counter;
}

}  // namespace

PolicySeries::PolicySeries(MetricRegistry& registry)
    : registry_(registry),
      candidates_(registry.counter("llmd_epp_candidate_pods_total",
                                   "Endpoints that requests could go to, before any filter.")),
      filtered_(registry.counter("llmd_epp_filtered_pods_total",
                                 "Endpoints that filters took away, of every profile that ran.")),
      scored_(registry.counter("llmd_epp_scored_pods_total",
                               "Endpoints that were scored, of every profile that ran.")),
      disaggregation_(2 * (kModelLabelsMax + 1)) {
  add_mirrors(registry);
}

void PolicySeries::picked(const PickReport& report, std::string_view model) {
  candidates_.add(report.trace.candidates());
  Policy* policy = policy_of(report.trace);
  if (policy == nullptr) return;
  observe_steps(*policy, report.trace);
  observe_prefix(*policy, report);
  if (policy->disagg != nullptr) count_disaggregation(*policy, report, model);
  count_session(*policy, report);
}

void PolicySeries::refused(const DecisionTrace& trace) {
  candidates_.add(trace.candidates());
  if (Policy* policy = policy_of(trace)) observe_steps(*policy, trace);
}

PolicySeries::Policy* PolicySeries::policy_of(const DecisionTrace& trace) {
  const std::shared_ptr<const PolicyLabels>& labels = trace.labels();
  if (labels == nullptr || trace.candidates() == 0) return nullptr;
  Policy* current = current_.load(std::memory_order_acquire);
  const bool known =
      current != nullptr && current->identity.load(std::memory_order_acquire) == labels.get();
  return known ? current : find_or_make(labels);
}

PolicySeries::Policy* PolicySeries::find_or_make(
    const std::shared_ptr<const PolicyLabels>& labels) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto found = std::find_if(policies_.begin(), policies_.end(), [&](const auto& policy) {
    return same_plugins(policy->plugins, labels->plugins);
  });
  if (found == policies_.end()) {
    if (policies_.size() == kPoliciesMax) return nullptr;
    policies_.push_back(make(labels));
    found = policies_.end() - 1;
  }
  Policy* policy = found->get();
  policy->labels = labels;
  policy->identity.store(labels.get(), std::memory_order_release);
  current_.store(policy, std::memory_order_release);
  return policy;
}

std::unique_ptr<PolicySeries::Policy> PolicySeries::make(
    const std::shared_ptr<const PolicyLabels>& labels) {
  auto policy = std::make_unique<Policy>();
  policy->plugins = labels->plugins;
  policy->durations = std::make_unique<std::atomic<Histogram*>[]>(kSteps * policy->plugins.size());
  for (const PluginLabel& plugin : policy->plugins) {
    policy->is_session_scorer.push_back(plugin.type == "session-affinity-scorer");
    if (is_disagg_handler(plugin)) policy->disagg = &plugin;
    if (!is_prefix_producer(plugin) || policy->hit_ratio != nullptr) continue;
    policy->hit_ratio = &registry_.histogram(
        "llm_d_epp_prefix_indexer_hit_ratio",
        "Share of the prompt that is expected in the cache of the endpoint picked.",
        epp_buckets::kRatio, plugin_labels(plugin));
    policy->hit_bytes = &registry_.histogram(
        "llm_d_epp_prefix_indexer_hit_bytes",
        "Bytes of the prompt that are expected in the cache of the endpoint picked.",
        epp_buckets::kMatchedBytes, plugin_labels(plugin));
  }
  return policy;
}

void PolicySeries::observe_steps(Policy& policy, const DecisionTrace& trace) {
  uint32_t left = trace.candidates();
  int profile = -1;
  bool profile_is_scored = false;
  for (const DecisionTrace::Entry& entry : trace.entries()) {
    if (entry.plugin >= policy.plugins.size()) continue;
    const size_t place = static_cast<size_t>(entry.step) * policy.plugins.size() + entry.plugin;
    duration_of(policy, entry, place).observe(to_seconds(entry.took));
    if (entry.step == Step::kProduce) continue;
    if (entry.profile != profile) {
      profile = entry.profile;
      left = trace.candidates();
      profile_is_scored = false;
    }
    if (entry.step == Step::kFilter) {
      filtered_.add(left - entry.left);
      left = entry.left;
    }
    if (entry.step == Step::kScore && !std::exchange(profile_is_scored, true)) scored_.add(left);
  }
}

Histogram& PolicySeries::duration_of(Policy& policy, const DecisionTrace::Entry& entry,
                                     size_t place) {
  Histogram* histogram = policy.durations[place].load(std::memory_order_acquire);
  if (histogram != nullptr) return *histogram;
  const PluginLabel& plugin = policy.plugins[entry.plugin];
  histogram =
      &registry_.histogram(kDurations, "How long a plugin took for one request, in finer steps.",
                           epp_buckets::kFineScheduling,
                           {{"extension_point", kExtensionPoints[static_cast<size_t>(entry.step)]},
                            {"plugin_type", plugin.type},
                            {"plugin_name", plugin.name}});
  policy.durations[place].store(histogram, std::memory_order_release);
  return *histogram;
}

void PolicySeries::observe_prefix(const Policy& policy, const PickReport& report) {
  if (policy.hit_ratio == nullptr || !report.prompt_known || report.prompt_tokens == 0) return;
  const double share = static_cast<double>(report.decision.cached_tokens) / report.prompt_tokens;
  policy.hit_ratio->observe(share);
  if (report.prompt_bytes == 0) return;
  policy.hit_bytes->observe(share * static_cast<double>(report.prompt_bytes));
}

void PolicySeries::count_disaggregation(const Policy& policy, const PickReport& report,
                                        std::string_view model) {
  const bool separate = report.decision.prefill.has_value();
  const HandleKey key{{model, policy.disagg->name, policy.disagg->type}, separate ? 1 : 0};
  Counter** counter = disaggregation_.find_or_make(key, [&] {
    Labels labels = plugin_labels(*policy.disagg);
    labels.emplace_back("model_name", model.empty() ? "unknown" : model);
    labels.emplace_back("decision_type", separate ? "prefill-decode" : "decode-only");
    return &registry_.counter("llm_d_epp_disagg_decision_total",
                              "Requests by which of their stages got an endpoint of its own.",
                              labels);
  });
  if (counter != nullptr) (*counter)->add();
}

// A scorer that knows where a session was gives that endpoint 1. One that is no candidate any more
// gets nothing: that session is not counted.
void PolicySeries::count_session(const Policy& policy, const PickReport& report) {
  for (const DecisionTrace::Entry& entry : report.trace.entries()) {
    if (entry.step != Step::kScore || entry.plugin >= policy.plugins.size()) continue;
    if (!policy.is_session_scorer[entry.plugin]) continue;
    for (const ScoredEndpoint& scored : report.trace.scores(entry)) {
      if (scored.score != 1) continue;
      const bool stayed = scored.endpoint == report.decision.endpoint;
      Counter& counter =
          stayed ? cached(affinity_hits_, registry_, "llmd_epp_session_affinity_hits_total",
                          "Requests of a known session that went where the one before did.")
                 : cached(affinity_misses_, registry_, "llmd_epp_session_affinity_misses_total",
                          "Requests of a known session that went elsewhere.");
      return counter.add();
    }
  }
}

}  // namespace kvasir
