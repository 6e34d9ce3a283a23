#include "apps/decision_log.h"

#include <algorithm>
#include <vector>

#include "fleet/fleet.h"
#include "net/io/socket.h"
#include "scheduling/decision_trace.h"

namespace kvasir {
namespace {

using Entry = DecisionTrace::Entry;
using Step = DecisionTrace::Step;

// Room for the longest usual line, so that it does not grow while it is written.
constexpr size_t kUsualLineBytes = 2048;

std::string_view plugin_of(const DecisionTrace& trace, const Entry& entry) {
  const auto& labels = trace.labels();
  if (!labels || entry.plugin >= labels->plugins.size()) return "?";
  return labels->plugins[entry.plugin].name;
}

std::string_view profile_of(const DecisionTrace& trace, const Entry& entry) {
  const auto& labels = trace.labels();
  if (!labels || entry.profile >= labels->profiles.size()) return "?";
  return labels->profiles[entry.profile];
}

const Endpoint* find_endpoint(const Snapshot& fleet, EndpointId id) {
  return index_of(id) < fleet.endpoints.size() ? fleet.endpoints[index_of(id)].endpoint.get()
                                               : nullptr;
}

std::string_view name_of(const Snapshot& fleet, EndpointId id) {
  const Endpoint* endpoint = find_endpoint(fleet, id);
  return endpoint != nullptr ? std::string_view(endpoint->name) : "?";
}

std::string address_of(const Snapshot& fleet, EndpointId id) {
  const Endpoint* endpoint = find_endpoint(fleet, id);
  return endpoint != nullptr ? to_string(HostPort{endpoint->host, endpoint->port}) : "?";
}

// The first kLoggedEndpointsMax of them by score.
std::vector<ScoredEndpoint> best_of(std::span<const ScoredEndpoint> scored) {
  std::vector<ScoredEndpoint> best(std::min(scored.size(), kLoggedEndpointsMax));
  std::partial_sort_copy(scored.begin(), scored.end(), best.begin(), best.end(),
                         [](const ScoredEndpoint& a, const ScoredEndpoint& b) {
                           const double left = a.score == a.score ? a.score : -1;
                           const double right = b.score == b.score ? b.score : -1;
                           return left != right ? left > right : a.endpoint < b.endpoint;
                         });
  return best;
}

// The best by the sum, and the one that was picked, whatever its sum.
std::vector<ScoredEndpoint> best_of(const PickReport& report) {
  const auto totals = report.trace.totals();
  std::vector<ScoredEndpoint> best = best_of(totals);
  const auto is_picked = [&](const ScoredEndpoint& scored) {
    return scored.endpoint == report.decision.endpoint;
  };
  if (std::any_of(best.begin(), best.end(), is_picked)) return best;
  const auto picked = std::find_if(totals.begin(), totals.end(), is_picked);
  if (picked != totals.end()) best.back() = *picked;
  return best;
}

void add_filters(const DecisionTrace& trace, LogLine& line) {
  line.open_list("filter_result");
  for (const Entry& entry : trace.entries()) {
    if (entry.step != Step::kFilter) continue;
    line.item("filter", plugin_of(trace, entry), profile_of(trace, entry), "left", entry.left);
  }
  line.close_list();
}

// Scores stand in the order of the endpoints' ids.
const ScoredEndpoint* find_score(std::span<const ScoredEndpoint> scores, EndpointId endpoint) {
  const auto found = std::lower_bound(
      scores.begin(), scores.end(), endpoint,
      [](const ScoredEndpoint& scored, EndpointId id) { return scored.endpoint < id; });
  return found != scores.end() && found->endpoint == endpoint ? &*found : nullptr;
}

// Of the endpoints with the best sums; of a profile that scored others, its own best ones.
void add_scorers(const PickReport& report, std::span<const ScoredEndpoint> best, LogLine& line) {
  const DecisionTrace& trace = report.trace;
  line.open_list("scorer_result");
  for (const Entry& entry : trace.entries()) {
    if (entry.step != Step::kScore) continue;
    line.open_item("scorer", plugin_of(trace, entry), profile_of(trace, entry), "scores");
    const std::span<const ScoredEndpoint> scores = trace.scores(entry);
    bool any = false;
    for (const ScoredEndpoint& endpoint : best) {
      const ScoredEndpoint* score = find_score(scores, endpoint.endpoint);
      if (score == nullptr) continue;
      line.entry(name_of(report.fleet, score->endpoint), score->score);
      any = true;
    }
    if (!any) {
      for (const ScoredEndpoint& score : best_of(scores)) {
        line.entry(name_of(report.fleet, score.endpoint), score.score);
      }
    }
    line.close_item();
  }
  line.close_list();
}

void add_request(const RequestLabels& labels, LogLine& line) {
  line.text("request_id", labels.request_id);
  line.text("model", labels.model);
  line.text("target_model", labels.target_model);
  line.text("fairness_id", labels.fairness_id);
  if (!labels.objective.empty()) line.text("objective", labels.objective);
  line.number("priority", labels.priority);
}

void add_choice(const PickReport& report, LogLine& line) {
  const Decision& decision = report.decision;
  line.text("selected_pod", name_of(report.fleet, decision.endpoint));
  line.text("selected_endpoint", address_of(report.fleet, decision.endpoint));
  line.open_list("fallbacks");
  for (uint8_t i = 0; i < decision.fallback_count; ++i) {
    line.item(address_of(report.fleet, decision.fallbacks[i]));
  }
  line.close_list();
  line.decimal("score", decision.score);
  for (const Entry& entry : report.trace.entries()) {
    if (entry.step != Step::kPick) continue;
    line.text("picker", plugin_of(report.trace, entry));
    break;
  }
  line.text("prefill_decision", decision.prefill ? "prefill-decode" : "decode-only");
  if (!decision.prefill) return;
  line.text("prefill_pod", name_of(report.fleet, *decision.prefill));
  line.text("prefill_endpoint", address_of(report.fleet, *decision.prefill));
}

// Of a policy that predicts.
void add_prediction(const Decision& decision, LogLine& line) {
  if (decision.predicted_prefill == Duration::zero()) return;
  line.milliseconds("predicted_wait", decision.predicted_wait);
  line.milliseconds("predicted_prefill", decision.predicted_prefill);
}

}  // namespace

void append_pick_line(LogFormat format, WallTime time, std::string_view component,
                      const PickReport& report, std::string& out) {
  LogLine line(format, time, "info", component, "picked", out);
  add_request(report.labels, line);
  if (report.attempt > 1) line.number("attempt", report.attempt);
  add_choice(report, line);
  if (report.prompt_known) {
    line.number("cached_tokens", report.decision.cached_tokens);
    if (report.decision.cached_exactly) line.text("cache_knowledge", "exact");
    line.number("prompt_tokens", report.prompt_tokens);
  }
  add_prediction(report.decision, line);
  if (report.metrics_age) line.milliseconds("scraper_age", *report.metrics_age);
  line.number("candidates", report.trace.candidates());
  const std::vector<ScoredEndpoint> best = best_of(report);
  add_filters(report.trace, line);
  add_scorers(report, best, line);
  line.open_map("final_scores");
  for (const ScoredEndpoint& scored : best) {
    line.entry(name_of(report.fleet, scored.endpoint), scored.score);
  }
  line.close_map();
  line.milliseconds("scheduling_duration", report.scheduling);
  line.milliseconds("processing_duration", report.processing);
  if (report.held > Duration::zero()) line.milliseconds("held_duration", report.held);
  line.end();
}

void append_refusal_line(LogFormat format, WallTime time, std::string_view component,
                         const RefusalReport& report, std::string& out) {
  LogLine line(format, time, "info", component, "refused, no endpoint", out);
  add_request(report.labels, line);
  line.number("status", report.refusal.status);
  line.text("code", report.refusal.code);
  line.text("reason", report.refusal.dropped_reason);
  line.text("text", report.refusal.text);
  if (report.trace != nullptr) {
    line.number("candidates", report.trace->candidates());
    add_filters(*report.trace, line);
  }
  line.milliseconds("scheduling_duration", report.scheduling);
  line.milliseconds("processing_duration", report.processing);
  line.end();
}

void DecisionLog::picked(const PickReport& report) {
  std::string line;
  line.reserve(kUsualLineBytes);
  append_pick_line(format_, std::chrono::system_clock::now(), component_, report, line);
  writer_->write(line);
}

void DecisionLog::refused(const RefusalReport& report) {
  std::string line;
  line.reserve(kUsualLineBytes);
  append_refusal_line(format_, std::chrono::system_clock::now(), component_, report, line);
  writer_->write(line);
}

void DecisionLog::add_counts(MetricRegistry& page, const std::string& prefix) const {
  page.counter(prefix + "lines_total", "Lines of the decision log.").add(lines());
  page.counter(prefix + "dropped_total",
               "Lines of the decision log that were dropped, as writing them took too long.")
      .add(dropped());
}

}  // namespace kvasir
