#include "kvmanager/answers.h"

#include <cmath>
#include <ctime>

#include "kvmanager/json_object.h"

namespace kvasir {
namespace {

constexpr double kMegabyte = 1e6;
constexpr double kGigabyte = 1e9;

std::optional<double> scaled_by(std::optional<uint64_t> bytes, double unit) {
  if (!bytes) return std::nullopt;
  return static_cast<double>(*bytes) / unit;
}
std::optional<double> in_percent(std::optional<double> share) {
  if (!share) return std::nullopt;
  return *share * 100;
}
std::optional<std::string> time_ago(std::optional<double> seconds_ago, double now) {
  if (!seconds_ago) return std::nullopt;
  return iso_time(now - *seconds_ago);
}

// Exact knowledge is the healthy state, and one that lacks what came before it, too.
std::string_view status_of(const PodState& state) {
  if (!state.freshness) return state.known.heard ? "healthy" : "unknown";
  switch (*state.freshness) {
    case KvFreshness::kExact:
    case KvFreshness::kIncomplete:
      return "healthy";
    case KvFreshness::kStale:
      return "stale";
    case KvFreshness::kNothingYet:
    case KvFreshness::kUnusable:
      break;
  }
  return "unknown";
}

void append_pod_fields(const PodState& state, JsonObjectWriter& pod) {
  pod.text("pod_id", state.known.name);
  pod.number("blocks_cached", state.blocks);
  pod.decimal("cache_utilization", state.utilization);
  pod.decimal("cache_size_gb", scaled_by(state.bytes, kGigabyte));
  pod.decimal("hit_rate", state.hit_rate);
  pod.decimal("eviction_rate_per_sec", state.eviction_rate);
}
void append_more_pod_fields(const PodState& state, JsonObjectWriter& pod) {
  pod.text("status", status_of(state));
  pod.text("freshness",
           state.freshness ? std::optional(freshness_text(*state.freshness)) : std::nullopt);
  pod.number("ranks", state.ranks);
  pod.number("block_size", state.block_tokens);
  pod.decimal("seconds_since_last_event", state.silent_s);
  pod.truth("connected", state.connected);
}

void append_peer(const std::string& url, const PeerState& state, std::string& json) {
  JsonObjectWriter peer(json);
  peer.text("url", url);
  peer.truth("reached", state.reached);
  if (!state.problem.empty()) peer.text("problem", state.problem);
  peer.number("pods_compared", state.compared);
  peer.key("pods");
  json.push_back('[');
  for (const std::string& pod : state.differing) {
    if (json.back() != '[') json.push_back(',');
    append_json_string(pod, json);
  }
  json.push_back(']');
  peer.end();
}

}  // namespace

std::string iso_time(double seconds) {
  const auto whole = static_cast<std::time_t>(std::floor(seconds));
  std::tm parts{};
  gmtime_r(&whole, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string error_json(std::string_view message) {
  std::string json;
  JsonObjectWriter error(json);
  error.text("error", message);
  error.end();
  return json.append("\n");
}

std::string score_json(const ScoreReport& report) {
  std::string json;
  JsonObjectWriter whole(json);
  whole.key("scores");
  JsonObjectWriter scores(json);
  for (const PodScoreReport& pod : report.pods) {
    scores.key(pod.pod);
    JsonObjectWriter score(json);
    score.decimal("cache_hit_rate", pod.hit_rate);
    score.number("blocks_present", pod.blocks_present);
    score.number("blocks_total", pod.blocks_total);
    score.decimal("score", in_percent(pod.hit_rate));
    score.decimal("cache_size_mb", scaled_by(pod.bytes, kMegabyte));
    score.decimal("set_hit_rate", pod.set_rate);
    score.decimal("gpu_hit_rate", pod.gpu_rate);
    if (!pod.reason.empty()) score.text("reason", pod.reason);
    score.end();
  }
  scores.end();
  whole.text("recommendation", report.best
                                   ? std::optional<std::string_view>(report.pods[*report.best].pod)
                                   : std::nullopt);
  whole.end();
  return json.append("\n");
}

std::string state_json(const FleetState& state, const PeerStates& peers, double now) {
  std::string json;
  JsonObjectWriter whole(json);
  whole.number("total_blocks", state.blocks);
  whole.number("unique_blocks", state.unique_blocks);
  whole.number("total_pods", state.pods.size());
  whole.decimal("average_cache_utilization", state.utilization);
  whole.decimal("global_hit_rate", state.hit_rate);
  whole.decimal("cache_size_total_gb", scaled_by(state.bytes, kGigabyte));
  whole.text("last_updated", time_ago(state.last_event_s, now));
  size_t exact = 0;
  size_t stale = 0;
  for (const PodState& pod : state.pods) {
    exact += status_of(pod) == "healthy";
    stale += status_of(pod) == "stale";
  }
  whole.number("pods_healthy", exact);
  whole.number("pods_stale", stale);
  whole.number("index_bytes", state.tracker.memory_bytes);
  whole.number("events_waiting_for_parents", state.tracker.orphans);
  whole.key("differs_from");
  json.push_back('[');
  for (const auto& [url, peer] : peers) {
    if (peer.differing.empty() && peer.reached) continue;
    if (json.back() != '[') json.push_back(',');
    append_peer(url, peer, json);
  }
  json.push_back(']');
  whole.end();
  return json.append("\n");
}

std::string pods_json(const FleetState& state) {
  std::string json;
  JsonObjectWriter whole(json);
  whole.key("pods");
  json.push_back('[');
  for (const PodState& pod : state.pods) {
    if (json.back() != '[') json.push_back(',');
    JsonObjectWriter one(json);
    append_pod_fields(pod, one);
    append_more_pod_fields(pod, one);
    one.end();
  }
  json.push_back(']');
  whole.number("blocks_stored", state.events.created);
  whole.number("blocks_evicted", state.events.evicted);
  whole.number("messages", state.events.messages);
  whole.end();
  return json.append("\n");
}

std::string pod_json(const PodState& state, const std::vector<CacheManager::TopBlock>& top) {
  std::string json;
  JsonObjectWriter pod(json);
  append_pod_fields(state, pod);
  pod.key("top_blocks");
  json.push_back('[');
  for (const CacheManager::TopBlock& block : top) {
    if (json.back() != '[') json.push_back(',');
    JsonObjectWriter one(json);
    one.text("block_hash", block.text);
    one.number("access_count", block.count);
    one.text("last_access", iso_time(block.last));
    one.end();
  }
  json.push_back(']');
  append_more_pod_fields(state, pod);
  pod.end();
  return json.append("\n");
}

}  // namespace kvasir
