// Turns what a KV-cache manager and its feed report into metrics (docs/METRICS.md) and log lines.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "apps/log_line.h"
#include "kvevents/event_feed.h"
#include "kvmanager/answers.h"
#include "kvmanager/cache_manager.h"
#include "telemetry/line_writer.h"
#include "telemetry/metrics.h"

namespace kvasir {

class KvCacheManagerMetrics final : public CacheManagerProbe, public KvEventProbe {
 public:
  // `events`: where each event is logged, in `format`; null: nowhere. `clock` must outlive it.
  KvCacheManagerMetrics(const Clock& clock, LogFormat format, std::unique_ptr<LineWriter> events);

  // On the loop's thread.
  void scored(Duration took);
  void on_peer(const std::string& url, const PeerState& state);
  std::string page(const FleetState& state, const KvEventFeedStatistics& feed,
                   const PeerStates& peers) const;

  // CacheManagerProbe
  bool wants_events() const override { return events_ != nullptr; }
  void on_event(const Event& event, Duration took) override;
  void on_batch(Duration took) override;
  void on_pod(std::string_view pod) override;
  void on_bad_batch(std::string_view pod, std::string_view why) override;
  void on_no_place(std::string_view pod) override;
  void on_forgotten(std::string_view pod) override;
  // KvEventProbe
  void on_unreadable(std::string_view of, std::string_view why) override;
  void on_unreached(const Endpoint& endpoint, uint32_t rank, std::string_view address,
                    bool answered) override;
  void on_subscribed(const Endpoint& endpoint, uint32_t rank, bool replays) override;
  void on_lost(const Endpoint& endpoint, uint32_t rank, std::string_view why) override;
  void on_restarted(const Endpoint& endpoint, uint32_t rank) override;
  void on_recovered(const Endpoint& endpoint, uint32_t rank, uint64_t batches,
                    KvFreshness now) override;
  void on_unusable(const Endpoint& endpoint, uint32_t rank, std::string_view why) override;
  void on_given_up(const Endpoint& endpoint, uint32_t rank, std::string_view why,
                   KvFreshness now) override;
  void on_refused(const Endpoint& endpoint, uint32_t rank, std::string_view why) override;
  void on_unnamed_publisher(std::string_view why) override;

 private:
  const LogFormat format_;
  const std::unique_ptr<LineWriter> events_;
  std::string line_;
  MetricRegistry registry_;
  Counter& score_requests_;
  Summary& score_duration_;
  Histogram& lookup_latency_;
  Gauge& batch_duration_;
  Counter& batches_;
  std::atomic<uint64_t> unreadable_{0};  // messages whose frames are none of ours
};

}  // namespace kvasir
