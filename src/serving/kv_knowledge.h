// What a pool knows exactly of its engines' KV caches: it listens to their events, wherever flags
// and configuration say that these are, and answers from the index that is made of them.
//
// Made and destroyed, and told of endpoints, on the pool's thread; caches() and statistics() are
// for any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/guarded.h"
#include "base/result.h"
#include "kvevents/cache_tracker.h"
#include "kvevents/event_feed.h"
#include "model/endpoint.h"
#include "scheduling/wanted_knowledge.h"

namespace kvasir {

class PoolProbe;

struct KvKnowledgeOptions {
  enum class Listen : uint8_t {
    kAsConfigured,  // when the configuration wants it, and where it says
    kNever,
    kAlways,  // at `addresses`, whatever the configuration says
  };
  Listen listen = Listen::kAsConfigured;
  KvEventAddresses addresses = {};
  // Engines connect to this address instead; empty: not.
  std::string bind = {};
  // In place of what the configuration says.
  std::optional<std::string> replay = {};  // empty: no replays
  std::string topic = {};                  // empty: as it says
  size_t index_bytes_max = size_t{1} << 30;
  // When lost events cannot be made up for.
  KvGapPolicy gap = KvGapPolicy::kStale;
  // It is told of an engine that was not reached for so long.
  Duration unreached_after = KvEventFeedOptions().unreached_after;
};

// Where to listen.
struct KvPlaces {
  KvEventAddresses addresses;
  std::string bind;

  bool operator==(const KvPlaces& other) const;
};

// nullopt: nowhere.
std::optional<KvPlaces> kv_places(const KvKnowledgeOptions& options, const WantedKnowledge& wanted);

struct KvStatistics {
  CacheTrackerStatistics caches;
  std::optional<KvEventFeedStatistics> feed;  // nullopt: nobody listens now
};

class KvKnowledge {
 public:
  // For endpoints with ids below `endpoints`. `probe` must outlive it, and is told on the thread
  // that listens. There `emptied` is called, too, without any lock: an engine began anew, or says
  // that its cache was emptied.
  KvKnowledge(const KvKnowledgeOptions& options, size_t endpoints, PoolProbe& probe,
              std::function<void(EndpointId)> emptied);
  ~KvKnowledge();
  KvKnowledge(const KvKnowledge&) = delete;
  KvKnowledge& operator=(const KvKnowledge&) = delete;

  // Listens there from now on, to the endpoints that have joined; nullopt: nowhere, and nothing is
  // known. The error: an address is none; then everything stays as it was.
  Result<void> listen(const std::optional<KvPlaces>& places);

  void joined(EndpointId id, const Endpoint& endpoint);
  void left(EndpointId id);
  // Its cache was reset by a request that went there. Any thread.
  void was_reset(EndpointId id);

  ExactCaches& caches() { return tracker_; }
  KvStatistics statistics() const;

 private:
  Result<std::unique_ptr<KvEventFeed>> start(const KvPlaces& places);

  class News;

  const std::unique_ptr<News> news_;
  CacheTracker tracker_;
  const KvGapPolicy gap_;
  const Duration unreached_after_;
  std::map<EndpointId, Endpoint> endpoints_;
  std::optional<KvPlaces> places_;
  Guarded<std::unique_ptr<KvEventFeed>> feed_;  // null: nobody listens
};

}  // namespace kvasir
