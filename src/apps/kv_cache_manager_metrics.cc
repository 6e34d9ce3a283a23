#include "apps/kv_cache_manager_metrics.h"

#include <cstdio>

#include "apps/log_page.h"
#include "telemetry/exposition.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

// Families that are worked out when the page is.
class ManagerPage {
 public:
  explicit ManagerPage(std::string text) : text_(std::move(text)) {}

  void family(std::string_view name, std::string_view help, std::string_view type) {
    name_ = name;
    append_exposition_head(name, help, type, text_);
  }
  void value(double value, const Labels& labels = {}) {
    append_exposition_line(name_, "", exposition_labels(labels), exposition_number(value), text_);
  }
  void gauge(std::string_view name, std::string_view help, double with) {
    family(name, help, "gauge");
    value(with);
  }
  void counter(std::string_view name, std::string_view help, double with) {
    family(name, help, "counter");
    value(with);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
  std::string_view name_;
};

void append_index(const FleetState& state, ManagerPage& page) {
  page.gauge("kv_cache_manager_total_blocks", "Blocks of all pods, counted for each pod.",
             static_cast<double>(state.blocks));
  page.gauge("kv_cache_manager_unique_blocks", "Blocks that some pod has, each counted once.",
             static_cast<double>(state.unique_blocks));
  page.gauge("kv_cache_manager_pods_tracked", "Pods that are subscribed to or were heard.",
             static_cast<double>(state.pods.size()));
  page.gauge("kv_cache_manager_index_bytes", "Memory of the index.",
             static_cast<double>(state.tracker.memory_bytes));
  page.gauge("kv_cache_manager_orphan_events", "Events that wait for their parent block.",
             static_cast<double>(state.tracker.orphans));
  page.gauge("kv_cache_manager_orphan_bytes", "Memory of events that wait for their parent block.",
             static_cast<double>(state.tracker.orphan_bytes));
  page.counter("kv_cache_manager_index_full_total",
               "Events that were not stored whole: the index has no memory left.",
               static_cast<double>(state.tracker.full));
}

// One line for each pod of which the value is known.
template <class Value>
void append_pods(const FleetState& state, std::string_view name, std::string_view help,
                 ManagerPage& page, Value&& value) {
  page.family(name, help, "gauge");
  for (const PodState& pod : state.pods) {
    const std::optional<double> known = value(pod);
    if (known) page.value(*known, {{"pod", pod.known.name}});
  }
}

void append_measures(const FleetState& state, ManagerPage& page) {
  append_pods(state, "kv_cache_manager_hit_rate",
              "Share of the prompts asked about that the pod had, since the start.", page,
              [](const PodState& pod) { return pod.hit_rate; });
  page.family("kv_cache_manager_global_hit_rate",
              "Share of the prompts asked about that the best pod had, since the start.", "gauge");
  if (state.hit_rate) page.value(*state.hit_rate);
  append_pods(state, "kv_cache_manager_cache_utilization",
              "Share of the pod's room for blocks (--pod-blocks) that is taken.", page,
              [](const PodState& pod) { return pod.utilization; });
  append_pods(state, "kv_cache_manager_eviction_rate",
              "Blocks that the pod evicted in a second, over the last minute.", page,
              [](const PodState& pod) { return pod.eviction_rate; });
  append_pods(state, "kv_cache_manager_pod_blocks", "Blocks of the pod.", page,
              [](const PodState& pod) { return std::optional<double>(pod.blocks); });
  append_pods(state, "kv_cache_manager_pod_exact",
              "Whether what is known of the pod can be used (1) or events were lost (0).", page,
              [](const PodState& pod) -> std::optional<double> {
                if (!pod.freshness) return 1;
                return *pod.freshness == KvFreshness::kExact ||
                       *pod.freshness == KvFreshness::kIncomplete;
              });
}

void append_events(const FleetState& state, ManagerPage& page) {
  page.family("kv_cache_manager_events_received_total",
              "Blocks that events named, by what happened.", "counter");
  page.value(static_cast<double>(state.events.created), {{"type", "BLOCK_CREATED"}});
  page.value(static_cast<double>(state.events.evicted), {{"type", "BLOCK_EVICTED"}});
  page.value(static_cast<double>(state.events.updated), {{"type", "BLOCK_UPDATED"}});
  page.value(static_cast<double>(state.events.cleared), {{"type", "ALL_BLOCKS_CLEARED"}});
  uint64_t unknown_parent = 0, again = 0, skipped = 0, partial = 0, refused = 0, unknown_blocks = 0;
  for (const KvSourceStatistics& source : state.tracker.sources) {
    unknown_parent += source.unknown_parent;
    again += source.announced_again;
    skipped += source.skipped;
    partial += source.partial;
    refused += source.refused;
    unknown_blocks += source.unknown_blocks;
  }
  page.counter("kvcache_index_admissions_total", "Blocks that engines announced.",
               static_cast<double>(state.tracker.stored));
  page.counter("kvcache_index_evictions_total", "Blocks whose removal engines announced.",
               static_cast<double>(state.tracker.removed));
  page.counter("llm_d_epp_kv_cache_index_admissions_total", "Blocks that engines announced.",
               static_cast<double>(state.tracker.stored));
  page.counter("llm_d_epp_kv_cache_index_evictions_total",
               "Blocks whose removal engines announced.",
               static_cast<double>(state.tracker.removed));
  page.family("llm_d_epp_kv_cache_events_stores_skipped_total",
              "Announced blocks or events that were not stored, by why; of pods that are there.",
              "counter");
  const auto skip = [&](const char* reason, uint64_t count) {
    page.value(static_cast<double>(count), {{"cache_kind", "full_attention"}, {"reason", reason}});
  };
  page.value(static_cast<double>(partial), {{"cache_kind", "other"}, {"reason", "not_a_prefix"}});
  skip("unknown_parent", unknown_parent);
  skip("announced_again", again);
  skip("unusable", skipped);
  skip("pod_limit", refused);
  skip("no_tokens", unknown_blocks);
}

void append_feed(const FleetState& state, const KvEventFeedStatistics& feed, ManagerPage& page) {
  page.gauge("llm_d_epp_kv_cache_events_active_subscribers", "Engines whose connection is there.",
             static_cast<double>(feed.active_subscribers()));
  page.gauge("kv_cache_manager_stale_sources", "Publishers of which events were lost.",
             static_cast<double>(feed.stale_sources()));
  uint64_t messages = feed.unknown_messages + feed.json_messages;
  for (const KvFeedSourceStatistics& source : feed.sources) messages += source.messages;
  page.counter("llm_d_epp_kv_cache_events_messages_received_total", "Messages of engines.",
               static_cast<double>(messages));
  page.counter("kv_cache_manager_unknown_messages_total", "Messages of publishers without a place.",
               static_cast<double>(feed.unknown_messages + state.events.unplaced_json));
  const auto of_sources = [&](std::string_view name, std::string_view help, auto value) {
    page.family(name, help, "counter");
    for (const KvFeedSourceStatistics& source : feed.sources) {
      page.value(static_cast<double>(value(source)),
                 {{"pod_identifier", source.name}, {"rank", std::to_string(source.rank)}});
    }
  };
  of_sources(
      "llm_d_epp_kv_cache_events_subscriber_reconnections_total", "Connections after the first.",
      [](const auto& source) { return source.connections > 0 ? source.connections - 1 : 0; });
  of_sources("kv_cache_manager_gaps_total", "Gaps in the numbers of an engine's messages.",
             [](const auto& source) { return source.gaps; });
  of_sources("kv_cache_manager_replays_total", "Replays that were asked for.",
             [](const auto& source) { return source.replays; });
  of_sources("kv_cache_manager_engine_restarts_total", "Restarts of engines, by their numbers.",
             [](const auto& source) { return source.restarts; });
  page.family("llm_d_epp_kv_cache_events_zmq_errors_total", "Errors of ZeroMQ.", "counter");
  for (const KvFeedSourceStatistics& source : feed.sources) {
    for (size_t i = 0; i < kKvFeedOperations; ++i) {
      if (source.errors[i] == 0) continue;
      page.value(static_cast<double>(source.errors[i]),
                 {{"pod_identifier", source.name},
                  {"operation", std::string(name_of(static_cast<KvFeedOperation>(i)))}});
    }
  }
}

void append_peers(const PeerStates& peers, ManagerPage& page) {
  page.family("kv_cache_manager_peer_differing_pods", "Pods of which a peer knows something else.",
              "gauge");
  for (const auto& [url, peer] : peers) {
    page.value(static_cast<double>(peer.differing.size()), {{"peer", url}});
  }
  page.family("kv_cache_manager_peer_reached", "Whether a peer answered.", "gauge");
  for (const auto& [url, peer] : peers) page.value(peer.reached, {{"peer", url}});
}

std::string of_rank(const Endpoint& endpoint, uint32_t rank) {
  return "pod " + endpoint.name + (rank > 0 ? ", rank " + std::to_string(rank) : "");
}

const char* after_giving_up(KvFreshness now) {
  switch (now) {
    case KvFreshness::kStale:
      return "; it is stale, and scores nothing, until its cache is known to be empty: its engine "
             "restarts, or announces a reset";
    case KvFreshness::kIncomplete:
      return "; it is incomplete: what comes from then on is used, and what it holds from before "
             "is "
             "not known until its cache is emptied";
    default:
      return "";
  }
}

}  // namespace

KvCacheManagerMetrics::KvCacheManagerMetrics(const Clock& clock, LogFormat format,
                                             std::unique_ptr<LineWriter> events)
    : format_(format),
      events_(std::move(events)),
      score_requests_(
          registry_.counter("kv_cache_manager_score_requests_total", "Questions about prompts.")),
      score_duration_(registry_.summary("kv_cache_manager_score_request_duration_seconds",
                                        "How long a question about a prompt took.", clock)),
      lookup_latency_(registry_.histogram("kvcache_index_lookup_latency_seconds",
                                          "How long a question about a prompt took.",
                                          {1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4,
                                           1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1})),
      batch_duration_(registry_.gauge("kv_cache_manager_event_processing_duration_seconds",
                                      "How long the last message took.")),
      batches_(registry_.counter("kv_cache_manager_messages_total", "Messages with events.")) {
  registry_.mirror("kvcache_index_lookup_requests_total", "Questions about prompts.",
                   {.of = "kv_cache_manager_score_requests_total"});
  registry_.mirror("llm_d_epp_kv_cache_index_lookup_requests_total", "Questions about prompts.",
                   {.of = "kv_cache_manager_score_requests_total"});
  registry_.mirror("llm_d_epp_kv_cache_index_lookup_latency_seconds",
                   "How long a question about a prompt took.",
                   {.of = "kvcache_index_lookup_latency_seconds"});
}

void KvCacheManagerMetrics::scored(Duration took) {
  score_requests_.add();
  score_duration_.observe(to_seconds(took));
  lookup_latency_.observe(to_seconds(took));
}

std::string KvCacheManagerMetrics::page(const FleetState& state, const KvEventFeedStatistics& feed,
                                        const PeerStates& peers) const {
  ManagerPage page(registry_.expose());
  append_index(state, page);
  append_measures(state, page);
  append_events(state, page);
  page.counter("kv_cache_manager_bad_messages_total",
               "Messages that could not be read, or some of whose events could not.",
               static_cast<double>(state.events.bad_messages + unreadable_));
  append_feed(state, feed, page);
  append_peers(peers, page);
  return page.take() + log_page();
}

void KvCacheManagerMetrics::on_peer(const std::string& url, const PeerState& state) {
  if (!state.reached) return log_warning("peer " + url + " cannot be asked: " + state.problem);
  if (state.compared == 0) return;  // it was reached, and nothing can be said of it yet
  const std::string compared = std::to_string(state.compared);
  if (state.differing.empty()) {
    return log_info("peer " + url +
                    (state.compared == state.pods
                         ? " knows the same of all pods (" + compared + " compared)"
                         : ": " + compared + " of " + std::to_string(state.pods) +
                               " pods compared so far, and of those it knows the same"));
  }
  std::string pods;
  for (const std::string& pod : state.differing) pods.append(pods.empty() ? "" : ", ").append(pod);
  log_warning("peer " + url + " differs: it knows something else of " + pods);
}

void KvCacheManagerMetrics::on_event(const Event& event, Duration took) {
  line_.clear();
  LogLine line(format_, std::chrono::system_clock::now(), "debug", "event_subscriber",
               "KVEvent received", line_);
  line.text("event_type", event.type);
  line.text("pod_id", event.pod);
  char name[24];
  std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(event.name));
  line.text("block_hash", event.block_hash.empty() ? std::string_view(name) : event.block_hash);
  if (event.block_size > 0) line.number("block_size", event.block_size);
  line.decimal("processing_time_ms", to_milliseconds(took));
  line.end();
  events_->write(line_);
}

void KvCacheManagerMetrics::on_batch(Duration took) {
  batches_.add();
  batch_duration_.set(to_seconds(took));
}

void KvCacheManagerMetrics::on_pod(std::string_view pod) {
  log_info("event_subscriber: first KVEvent received of pod " + std::string(pod));
}
void KvCacheManagerMetrics::on_bad_batch(std::string_view pod, std::string_view why) {
  log_repeated(LogLevel::kWarning, "messages that cannot be read",
               "event_subscriber: a message" + (pod.empty() ? "" : " of pod " + std::string(pod)) +
                   " cannot be read: " + std::string(why));
}
void KvCacheManagerMetrics::on_unreadable(std::string_view of, std::string_view why) {
  ++unreadable_;
  on_bad_batch(of, why);
}
void KvCacheManagerMetrics::on_unreached(const Endpoint& endpoint, uint32_t rank,
                                         std::string_view address, bool answered) {
  if (answered) {
    return log_warning("event_subscriber: something answers at " + std::string(address) +
                       ", but it does not publish the KV events of " + of_rank(endpoint, rank) +
                       ", so nothing is known of it: is it the address for replays, or the HTTP "
                       "port?");
  }
  log_warning("event_subscriber: nobody answers at " + std::string(address) + " for " +
              of_rank(endpoint, rank) +
              ", so nothing is known of it; it is tried again. Does its engine run, and publish "
              "there (--kv-events-config)?");
}
void KvCacheManagerMetrics::on_no_place(std::string_view pod) {
  log_warning("event_subscriber: there is no place for pod " + std::string(pod) +
              ": there are as many pods as there may be (--pods-max), and those that came first "
              "stay. Messages of new ones are dropped");
}
void KvCacheManagerMetrics::on_forgotten(std::string_view pod) {
  log_info("event_subscriber: pod " + std::string(pod) + " is gone, and forgotten");
}
void KvCacheManagerMetrics::on_subscribed(const Endpoint& endpoint, uint32_t rank, bool replays) {
  const char* const without =
      replays ? ""
              : "; there is no address for replays, so what it published before is not known until "
                "its cache is emptied";
  log_info("event_subscriber: subscribed to " + of_rank(endpoint, rank) + without);
}
void KvCacheManagerMetrics::on_lost(const Endpoint& endpoint, uint32_t rank, std::string_view why) {
  log_warning("event_subscriber: events of " + of_rank(endpoint, rank) +
              " were lost: " + std::string(why));
}
void KvCacheManagerMetrics::on_restarted(const Endpoint& endpoint, uint32_t rank) {
  log_info("event_subscriber: " + of_rank(endpoint, rank) + " restarted: its cache is empty");
}
void KvCacheManagerMetrics::on_recovered(const Endpoint& endpoint, uint32_t rank, uint64_t batches,
                                         KvFreshness now) {
  const std::string replayed = std::to_string(batches) + " messages by replay";
  if (now == KvFreshness::kExact) {
    return log_info("event_subscriber: " + of_rank(endpoint, rank) + " is known exactly, " +
                    replayed);
  }
  log_info("event_subscriber: " + of_rank(endpoint, rank) + " is incomplete, " + replayed +
           ": what is known is used, and what it holds from before is not known until its cache is "
           "emptied (a larger buffer_steps of its --kv-events-config keeps more)");
}
void KvCacheManagerMetrics::on_unusable(const Endpoint& endpoint, uint32_t rank,
                                        std::string_view why) {
  log_warning("event_subscriber: none of the events of " + of_rank(endpoint, rank) +
              " can be used, so nothing is known of it: " + std::string(why));
}
void KvCacheManagerMetrics::on_given_up(const Endpoint& endpoint, uint32_t rank,
                                        std::string_view why, KvFreshness now) {
  log_warning("event_subscriber: lost events of " + of_rank(endpoint, rank) +
              " cannot be made up for: " + std::string(why) + after_giving_up(now));
}
void KvCacheManagerMetrics::on_refused(const Endpoint& endpoint, uint32_t rank,
                                       std::string_view why) {
  log_warning("event_subscriber: " + of_rank(endpoint, rank) +
              " cannot be heard: " + std::string(why));
}
void KvCacheManagerMetrics::on_unnamed_publisher(std::string_view why) {
  log_warning("event_subscriber: " + std::string(why));
}

}  // namespace kvasir
