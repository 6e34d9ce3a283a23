// What a KV-cache manager knows, and what it answers; without a socket.
//
// The feed's thread brings events (KvSourceTracker, KvPublishers); every question comes on one
// other thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "kvevents/cache_tracker.h"
#include "kvevents/event_feed.h"
#include "kvmanager/measures.h"
#include "kvmanager/named_blocks.h"
#include "kvmanager/pod_table.h"
#include "kvmanager/publisher_table.h"
#include "kvmanager/snapshot.h"
#include "wire/kv_digest.h"
#include "wire/kv_events/kv_event_decoder.h"
#include "wire/kv_match.h"
#include "wire/kv_scores.h"

namespace kvasir {

struct CacheManagerOptions {
  CacheTrackerOptions tracker;
  // Blocks that JSON events announce, of all pods together.
  size_t named_blocks_max = 1'000'000;
  // What engines do not report; absent: unknown, and so is what follows from it.
  std::optional<uint64_t> pod_blocks;   // that the cache of each pod has room for
  std::optional<uint64_t> block_bytes;  // of one block on one pod
  size_t top_blocks = 10;
  // Of one question by names, how many blocks are counted for top_blocks.
  size_t counted_blocks_max = 256;
  // A pod that the program was not told of is forgotten when its connections ended so long ago; of
  // which connections are not seen, it makes room for another when it was silent so long.
  Duration gone_after = std::chrono::minutes(10);
};

// Told of each batch, on the feed's thread.
class CacheManagerProbe {
 public:
  virtual ~CacheManagerProbe() = default;
  struct Event {
    std::string_view type;  // BLOCK_CREATED, BLOCK_EVICTED, BLOCK_UPDATED, ALL_BLOCKS_CLEARED
    std::string_view pod;
    std::string_view block_hash;  // of a JSON event; empty: `name` is it
    uint64_t name = 0;
    uint32_t block_size = 0;  // tokens; 0: unknown
  };
  // Whether on_event() is wanted: it takes a second look at every batch.
  virtual bool wants_events() const = 0;
  // One for each block that a batch names, when it was applied; it took that long.
  virtual void on_event(const Event& event, Duration took) = 0;
  virtual void on_batch(Duration took) = 0;
  // The first event of a pod.
  virtual void on_pod(std::string_view pod) = 0;
  // `pod` is empty when the message names none.
  virtual void on_bad_batch(std::string_view pod, std::string_view why) = 0;
  // Nobody had heard of it, and all places are taken: its messages are dropped, and those of others
  // like it. Told of the first one since a pod was forgotten.
  virtual void on_no_place(std::string_view pod) = 0;
  // It is gone, and what was known of it: it made room, or was silent for too long.
  virtual void on_forgotten(std::string_view pod) = 0;
};

// How often what came, since the start.
struct EventCounts {
  uint64_t created = 0;  // blocks of events, not events: the tutorial's have one each
  uint64_t evicted = 0;
  uint64_t updated = 0;
  uint64_t cleared = 0;
  uint64_t messages = 0;
  uint64_t bad_messages = 0;
  uint64_t unplaced_json = 0;  // JSON messages with an event of a pod without a place
};

struct PodScoreReport {
  std::string pod;
  // nullopt: nothing exact is known of it, or the question does not say what the pod could be
  // asked for.
  std::optional<double> hit_rate;          // blocks at the beginning, of all of the prompt's
  std::optional<double> set_rate;          // blocks anywhere, of all; by names only
  std::optional<uint64_t> blocks_present;  // at the beginning
  std::optional<uint64_t> blocks_total;
  std::optional<double> gpu_rate;  // as hit_rate, of those blocks only what the GPU's cache has
  std::optional<uint64_t> bytes;   // of its cache
  std::string_view reason;         // why nothing is known; empty when it is
};
struct ScoreReport {
  std::vector<PodScoreReport> pods;  // in the order in which they were asked for
  std::optional<size_t> best;        // its place; nullopt: none has a block
};

// How sure the index is of a pod, as questions about it are answered: not at all when a rank is
// stale; else by what is known of its ranks, and then there may be more in those of which nothing
// is known.
class FreshnessOfRanks {
 public:
  void add(KvFreshness rank);
  std::optional<KvFreshness> of_all() const;  // nullopt: none was added

 private:
  bool nothing_ = false, unusable_ = false, incomplete_ = false, exact_ = false, stale_ = false;
};

struct PodState {
  KnownPod known;
  std::optional<KvFreshness> freshness;  // FreshnessOfRanks; nullopt: JSON events alone
  uint64_t blocks = 0;
  uint64_t removed = 0;
  uint32_t ranks = 0;
  std::optional<uint32_t> block_tokens;
  std::optional<uint64_t> bytes;
  std::optional<double> utilization;  // above 1: it has more room than options say
  std::optional<double> hit_rate;
  std::optional<double> eviction_rate;
  std::optional<double> silent_s;  // since an event came
  std::optional<bool> connected;   // nullopt: its engine connects to us
};
struct FleetState {
  uint64_t blocks = 0;         // of each pod
  uint64_t unique_blocks = 0;  // each once
  std::vector<PodState> pods;
  std::optional<double> utilization;  // the mean of those that have one
  std::optional<double> hit_rate;
  std::optional<uint64_t> bytes;
  std::optional<double> last_event_s;  // ago
  EventCounts events;
  CacheTrackerStatistics tracker;
};

class CacheManager final : public KvSourceTracker, public KvPublishers {
 public:
  // A text to tokens; false: it cannot.
  using Tokenize = std::function<bool(std::string_view text, std::vector<uint32_t>& tokens)>;

  // `tracker`: made with options.tracker. `clock` and `probe` must outlive it.
  CacheManager(const CacheManagerOptions& options, const Clock& clock, CacheManagerProbe& probe,
               std::unique_ptr<CacheTracker> tracker);

  // --- Before the feed starts ---
  std::optional<EndpointId> list_pod(const std::string& name) { return pods_.list(name); }
  // Told of pods that are forgotten, on the thread that did it: their sources are to be removed.
  void set_departed(std::function<void(EndpointId)> departed) { departed_ = std::move(departed); }
  void set_tokenizer(Tokenize tokenize) { tokenize_ = std::move(tokenize); }

  // --- Questions ---
  ScoreReport score(const ScoreQuery& query);
  MatchAnswer match(const MatchQuestion& question) const;
  FleetState state() const;
  std::optional<PodState> pod_state(std::string_view name) const;
  struct TopBlock {
    std::string text;
    uint64_t count = 0;
    double last = 0;  // seconds since 1970
  };
  // Those which the pod has.
  std::vector<TopBlock> top_blocks(EndpointId pod) const;
  // Of each pod, to compare with another manager.
  // Looks at every block, and holds up the feed meanwhile: about 10 ms for each million of them.
  KvDigests digests() const;
  // For a file (kvmanager/snapshot.h). Any thread; holds up the feed as digests() does.
  KvSnapshot snapshot() const;
  // Takes in what a file says, before anything else is known: stale until the stream of each source
  // goes on where it was. Answers how many blocks. Sources without a position are left out. The
  // error: the blocks cannot be read; then nothing is known.
  Result<size_t> load(const KvSnapshot& snapshot);
  // Takes in what another manager knows, while nothing is known here and what comes is held: of
  // each publisher of which batches are held that go on where the other one is. So none is missing,
  // and none counts twice. nullopt: not yet, for of some nothing is held that goes on. With `last`
  // those are left out: whether what follows goes on there, nobody could say.
  struct TakenOver {
    size_t publishers = 0;
    size_t left_out = 0;  // further ones
    size_t blocks = 0;
  };
  std::optional<Result<TakenOver>> take_over(KvSnapshot snapshot, HeldMessages& held, bool last);
  // To be called every few seconds: measures, and does what was put off.
  void tick();
  CacheTracker& tracker() { return *tracker_; }
  const PodTable& pods() const { return pods_; }

  // --- The feed's thread ---
  std::optional<KvSourceId> add_source(EndpointId endpoint, uint32_t rank,
                                       std::string name) override;
  void remove_source(KvSourceId source) override;
  Result<KvBatchApplied> apply(KvSourceId source, std::string_view batch, TimePoint now) override;
  void set_freshness(KvSourceId source, KvFreshness freshness) override;
  void clear(KvSourceId source) override;
  bool tidy(TimePoint now) override { return tracker_->tidy(now); }
  std::optional<KvStreamPosition> position(KvSourceId source) override {
    return tracker_->position(source);
  }
  void set_position(KvSourceId source, const std::optional<KvStreamPosition>& position) override {
    tracker_->set_position(source, position);
  }
  void set_topic(KvSourceId source, std::string_view topic) override;
  void set_connected(KvSourceId source, bool connected) override;
  // Sources of load() that were not added since go, and pods that nothing else is known of.
  void forget_unclaimed();
  std::optional<std::pair<EndpointId, Endpoint>> find(std::string_view topic) override;
  void on_json(std::string_view topic, std::string_view events) override;

 private:
  struct Counts {
    std::atomic<uint64_t> created{0}, evicted{0}, updated{0}, cleared{0}, messages{0}, bad{0},
        unplaced_json{0};
  };

  std::vector<KnownPod> asked_pods(const ScoreQuery& query) const;
  bool names_adapter(std::string_view model) const;
  void score_by_names(const ScoreQuery& query, const KnownPod& pod, PodScoreReport& report) const;
  void score_by_tokens(const ScoreQuery& query, const std::vector<uint32_t>& tokens,
                       const std::vector<KnownPod>& pods, ScoreReport& report) const;
  void say_why(const std::vector<KnownPod>& pods, ScoreReport& report) const;
  void measure(const ScoreQuery& query, const std::vector<KnownPod>& pods, ScoreReport& report);
  PodState state_of(const KnownPod& pod, const CacheTrackerStatistics& statistics) const;
  std::optional<uint64_t> bytes_of(EndpointId pod, uint64_t blocks) const;
  // False: there is no place for its pod.
  bool apply_json_event(std::string_view publisher, const KvJsonEvent& event, TimePoint now);
  void hear(EndpointId pod, TimePoint now);
  std::optional<EndpointId> see(std::string_view name, TimePoint now);
  bool may_go(const KnownPod& pod, TimePoint now) const;
  void forget_pod(EndpointId pod, std::string_view name);
  void report_events(EndpointId pod, std::string_view batch, Duration took);

  const CacheManagerOptions options_;
  const Clock& clock_;
  CacheManagerProbe& probe_;
  const std::unique_ptr<CacheTracker> tracker_;
  PodTable pods_;
  PublisherTable publishers_;
  NamedBlockSets named_;
  Counts counts_;
  std::atomic<bool> no_place_told_{false};
  Tokenize tokenize_;
  std::function<void(EndpointId)> departed_;
  HitRates hit_rates_;
  AskedBlocks asked_;
  EvictionRates evictions_;
  // The feed's thread.
  std::map<KvSourceId, EndpointId> endpoint_of_;
  // Of load(): they wait for add_source().
  std::map<std::pair<EndpointId, uint32_t>, KvSourceId> loaded_;
  KvEventDecoder reporting_;
};

// "exact", "incomplete", "stale", "nothing yet".
std::string_view freshness_text(KvFreshness freshness);

}  // namespace kvasir
