#include "serving/kv_knowledge.h"

#include <algorithm>
#include <utility>

#include "serving/pool_probe.h"

namespace kvasir {
namespace {

// What an engine holds is told by each of its ranks and groups.
constexpr size_t kHoldersOfAnEndpoint = 4;
constexpr const char* kNoReplays =
    "there is no address for replays (--kv-replay), so what it published before is not known until "
    "its cache is emptied";

CacheTrackerOptions tracker_options(const KvKnowledgeOptions& options, size_t endpoints) {
  CacheTrackerOptions result;
  result.endpoints_max = endpoints;
  result.index.memory_bytes_max = options.index_bytes_max;
  result.index.holders_max = std::max(result.index.holders_max, endpoints * kHoldersOfAnEndpoint);
  return result;
}

// What follows when lost events cannot be made up for.
const char* consequence(KvFreshness now) {
  switch (now) {
    case KvFreshness::kStale:
      return "; its cache is guessed until it is known to be empty (its engine restarts, or "
             "announces a reset)";
    case KvFreshness::kIncomplete:
      return "; what it published from then on is used, and what it holds from before is not known "
             "until its cache is emptied";
    default:
      return "";
  }
}

std::string host_port(uint16_t port) {
  return "tcp://HOST:" + std::to_string(port);
}

}  // namespace

bool KvPlaces::operator==(const KvPlaces& other) const {
  return addresses.events == other.addresses.events && addresses.replay == other.addresses.replay &&
         addresses.topic == other.addresses.topic && addresses.ranks == other.addresses.ranks &&
         bind == other.bind;
}

std::optional<KvPlaces> kv_places(const KvKnowledgeOptions& options,
                                  const WantedKnowledge& wanted) {
  using Listen = KvKnowledgeOptions::Listen;
  if (options.listen == Listen::kNever) return std::nullopt;
  KvPlaces places{options.addresses, options.bind};
  if (options.listen == Listen::kAsConfigured) {
    if (!wanted.caches) return std::nullopt;
    const WantedCaches& caches = *wanted.caches;
    places.addresses.events = caches.by_endpoint ? host_port(caches.port) : "";
    places.addresses.replay = caches.replay_port ? host_port(*caches.replay_port) : "";
    places.addresses.topic = caches.topic;
    if (places.bind.empty()) places.bind = caches.bind;
  }
  if (options.replay) places.addresses.replay = *options.replay;
  if (!options.topic.empty()) places.addresses.topic = options.topic;
  return places;
}

// In the words of the pool's probe.
class KvKnowledge::News final : public KvEventProbe {
 public:
  News(PoolProbe& probe, std::function<void(EndpointId)> emptied)
      : probe_(probe), emptied_(std::move(emptied)) {}

  void on_subscribed(const Endpoint& endpoint, uint32_t rank, bool replays) override {
    probe_.on_kv_news(endpoint, rank, KvNews::kHeard, replays ? "" : kNoReplays);
  }
  void on_lost(const Endpoint& endpoint, uint32_t rank, std::string_view why) override {
    probe_.on_kv_news(endpoint, rank, KvNews::kLost, why);
  }
  void on_restarted(const Endpoint& endpoint, uint32_t rank) override {
    probe_.on_kv_news(endpoint, rank, KvNews::kRestarted, "");
  }
  void on_emptied(EndpointId endpoint) override { emptied_(endpoint); }
  void on_recovered(const Endpoint& endpoint, uint32_t rank, uint64_t batches,
                    KvFreshness now) override {
    probe_.on_kv_news(endpoint, rank,
                      now == KvFreshness::kExact ? KvNews::kRecovered : KvNews::kIncomplete,
                      std::to_string(batches) + " batches were sent again");
  }
  void on_given_up(const Endpoint& endpoint, uint32_t rank, std::string_view why,
                   KvFreshness now) override {
    probe_.on_kv_news(endpoint, rank, KvNews::kGivenUp, std::string(why) + consequence(now));
  }
  void on_refused(const Endpoint& endpoint, uint32_t rank, std::string_view why) override {
    probe_.on_kv_news(endpoint, rank, KvNews::kRefused, why);
  }
  void on_unusable(const Endpoint& endpoint, uint32_t rank, std::string_view why) override {
    probe_.on_kv_news(endpoint, rank, KvNews::kUnusable, why);
  }
  void on_unreached(const Endpoint& endpoint, uint32_t rank, std::string_view address,
                    bool answered) override {
    probe_.on_kv_news(endpoint, rank, answered ? KvNews::kNoEvents : KvNews::kUnreached, address);
  }
  void on_unreadable(std::string_view of, std::string_view why) override {
    const std::string_view whose = of.empty() ? "an engine that connected" : of;
    probe_.on_kv_news({std::string(whose), "", 0}, 0, KvNews::kUnreadable, why);
  }
  void on_unnamed_publisher(std::string_view why) override {
    probe_.on_kv_news({"an engine that connected", "", 0}, 0, KvNews::kRefused, why);
  }

 private:
  PoolProbe& probe_;
  const std::function<void(EndpointId)> emptied_;
};

KvKnowledge::KvKnowledge(const KvKnowledgeOptions& options, size_t endpoints, PoolProbe& probe,
                         std::function<void(EndpointId)> emptied)
    : news_(std::make_unique<News>(probe, std::move(emptied))),
      tracker_(tracker_options(options, endpoints)),
      gap_(options.gap),
      unreached_after_(options.unreached_after) {}

KvKnowledge::~KvKnowledge() = default;

Result<std::unique_ptr<KvEventFeed>> KvKnowledge::start(const KvPlaces& places) {
  KvEventFeedOptions options;
  options.addresses = places.addresses;
  options.bind = places.bind;
  options.stream.gap = gap_;
  options.unreached_after = unreached_after_;
  Result<std::unique_ptr<KvEventFeed>> feed =
      KvEventFeed::start(std::move(options), tracker_, *news_);
  if (!feed) return Error{"KV events: " + feed.error().message};
  for (const auto& [id, endpoint] : endpoints_) (*feed)->joined(id, endpoint);
  return feed;
}

// One feed at a time writes to the tracker.
Result<void> KvKnowledge::listen(const std::optional<KvPlaces>& places) {
  if (places == places_) return {};
  feed_.with([](auto& feed) { return std::exchange(feed, nullptr); }).reset();
  Result<std::unique_ptr<KvEventFeed>> feed = std::unique_ptr<KvEventFeed>();
  if (places) feed = start(*places);
  std::optional<Error> error;
  if (!feed) {
    error = feed.error();
    if (places_) feed = start(*places_);
  } else {
    places_ = places;
  }
  if (feed) feed_.with([&](auto& now) { now = std::move(*feed); });
  if (error) return *error;
  return {};
}

void KvKnowledge::joined(EndpointId id, const Endpoint& endpoint) {
  endpoints_[id] = endpoint;
  feed_.with([&](auto& feed) {
    if (feed != nullptr) feed->joined(id, endpoint);
  });
}

void KvKnowledge::left(EndpointId id) {
  endpoints_.erase(id);
  feed_.with([&](auto& feed) {
    if (feed != nullptr) feed->left(id);
  });
}

void KvKnowledge::was_reset(EndpointId id) {
  // Here, for the next request may come before the feed's thread hears of it.
  tracker_.clear_endpoint(id);
  feed_.with([&](auto& feed) {
    if (feed != nullptr) feed->was_reset(id);
  });
}

KvStatistics KvKnowledge::statistics() const {
  KvStatistics statistics{tracker_.statistics(), std::nullopt};
  feed_.with([&](const auto& feed) {
    if (feed != nullptr) statistics.feed = feed->statistics();
  });
  return statistics;
}

}  // namespace kvasir
