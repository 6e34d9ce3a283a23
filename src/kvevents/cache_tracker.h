// What is known of every endpoint's KV cache: takes the events of the engines and keeps a
// BlockIndex of them, and answers how much of a prompt each endpoint holds.
//
// A source is one publisher of events: an engine process, which is one data-parallel rank of one
// endpoint. What is known of it is exact, or stale: events were lost and not made up for yet. Stale
// knowledge is kept but not used (CachedPrefix::known), for most of it is right again as soon as
// the lost events were replayed.
//
// A holder of the index is one KV cache group of one source. Only groups whose attention reads
// every block of a prefix count, and a prefix counts as far as all of those have it. Of an endpoint
// with several ranks the best one counts.
//
// Copies: an engine may have a block several times and then announces each copy and each removal,
// so they are counted. An engine that announces again what it has (vLLM's kv_cache_report_mode
// "full") would never lose a block by that count. It is found out by a sequence that is announced
// from its first block on, two blocks or more, and was there already: those are no further copies,
// and from then on no sequence's beginning of that source is. Two requests that really computed one
// prompt twice can look the same; then the second copy is missed, and less is known than there is.
//
// Exact knowledge of a source of which an announced block is not known is incomplete until the
// cache is cleared: blocks that are older than CacheTrackerOptions::lifetime, or had no room, or
// whose parent never came.
//
// One thread writes (the feed's, event_feed.h; or a simulation). What ExactCaches and statistics()
// answer may be asked on any thread, and waits for no writing but that of a source which comes or
// goes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "kvevents/source_tracker.h"
#include "kvindex/block_index.h"
#include "kvindex/exact_caches.h"
#include "kvindex/index_snapshot.h"
#include "model/endpoint.h"
#include "wire/kv_events/kv_event.h"

namespace kvasir {

struct CacheTrackerOptions {
  BlockIndexOptions index;
  size_t endpoints_max = 1024;  // ids are below it
  size_t ranks_max = 64;        // sources of one endpoint
  size_t groups_max = 8;        // KV cache groups of one source
  size_t adapters_max = 4096;   // names of adapters that are remembered
  size_t block_sizes_max = 8;   // different ones at a time; events of others are skipped
  // Events whose parent is not known yet wait for it, so long and so many.
  size_t orphan_bytes_max = size_t{64} << 20;
  Duration orphan_lifetime = std::chrono::minutes(2);
  // Blocks that one source may have; more are not taken, and it is stale from then on.
  size_t source_blocks_max = 4'000'000;
  size_t expected_blocks_max = 1'000'000;  // of expect(), of all endpoints together
  // Find out engines that announce again what they have; matters while copies are counted.
  bool find_announced_again = true;
  // Zero: what is known is true until an event says otherwise, so neither is needed. INDEX_TTL,
  // INDEX_MAX_BLOCKS and INDEX_CLEANUP_INTERVAL of the tutorial.
  Duration lifetime{};
  size_t blocks_max = 0;
  Duration cleanup_interval = std::chrono::minutes(5);
};

struct KvSourceStatistics {
  KvSourceId source{};
  EndpointId endpoint{};
  std::string name;
  uint32_t rank = 0;
  KvFreshness freshness = KvFreshness::kNothingYet;
  uint64_t blocks = 0;
  uint32_t block_tokens = 0;
  // Since it was added.
  uint64_t stored = 0;   // blocks that it announced
  uint64_t removed = 0;  // blocks whose removal it announced
  uint64_t cleared = 0;  // times
  uint64_t batches = 0;
  uint64_t stored_events = 0;
  uint64_t removed_events = 0;
  uint64_t skipped = 0;  // events of an unknown type, or that cannot be used
  uint64_t partial = 0;  // events of groups whose blocks do not tell whether a prefix is there
  uint64_t unknown_parent = 0;       // events that waited for their parent in vain
  uint64_t unknown_blocks = 0;       // announced without tokens, and in no tier before
  uint64_t announced_again = 0;      // blocks that were there already, and are no further copies
  uint64_t refused = 0;              // blocks beyond source_blocks_max
  std::optional<double> last_event;  // timestamp of the last batch, by the engine's clock
  TimePoint heard_at{};              // of the last batch, by ours
};

struct CacheTrackerStatistics {
  // Those of a cache that was just cleared may count until tidy() is through, but never more than
  // the sources have together.
  uint64_t distinct_blocks = 0;
  uint64_t memberships = 0;
  uint64_t memory_bytes = 0;
  uint64_t orphans = 0;  // events that wait
  uint64_t orphan_bytes = 0;
  uint64_t full = 0;  // events that were stored in part or not at all, for lack of memory
  // Of all sources, those that are gone too.
  uint64_t stored = 0;
  uint64_t removed = 0;
  uint64_t cleared = 0;
  std::vector<KvSourceStatistics> sources;
};

class CacheTracker final : public ExactCaches, public KvSourceTracker {
 public:
  explicit CacheTracker(const CacheTrackerOptions& options);
  // With an index of one's own; for tests and comparisons.
  CacheTracker(const CacheTrackerOptions& options, std::unique_ptr<BlockIndex> index);
  ~CacheTracker() override;

  // --- Any thread: ExactCaches ---
  std::vector<uint32_t> block_sizes() const override;
  uint64_t version() const override;
  BlockHash root(std::string_view model, std::string_view cache_salt) const override;
  void match(PromptChains prompt, std::span<const EndpointId> endpoints,
             std::span<CachedPrefix> cached) const override;
  void expect(PromptChains prompt, EndpointId endpoint, TimePoint now, Duration lifetime) override;
  CacheTrackerStatistics statistics() const;
  std::vector<std::string> adapters() const;
  // Of all ranks; tokens in a block of the first one (0: no event has said it).
  uint64_t blocks_of(EndpointId endpoint) const;
  uint32_t block_tokens_of(EndpointId endpoint) const;

  // --- Any thread; the writing one waits meanwhile ---

  // What an endpoint has of blocks that are named as its engine names them.
  struct NamedBlocks {
    size_t leading = 0;  // of the first ones, without a gap
    size_t present = 0;  // of all
  };
  // Of the rank that has the most leading ones. nullopt: nothing exact is known of the endpoint.
  std::optional<NamedBlocks> find_named(EndpointId endpoint,
                                        std::span<const uint64_t> engine_hashes) const;
  // Everything that is known; blocks of one holder that are of one source, group and block size.
  struct HolderName {
    KvSourceId source{};
    EndpointId endpoint{};
    uint32_t rank = 0;
    uint32_t group = 0;
    uint32_t block_tokens = 0;
  };
  class Visitor {
   public:
    virtual ~Visitor() = default;
    // All of them, before the blocks, as they are at that very moment.
    virtual void on_source(const KvSourceStatistics& source,
                           const std::optional<KvStreamPosition>& position) {
      static_cast<void>(source), static_cast<void>(position);
    }
    virtual void on_block(const HolderName& holder, const BlockIndex::KnownBlock& block) = 0;
  };
  void visit(Visitor& visitor) const;
  // The same as bytes (kvindex/index_snapshot.h), with what they are of.
  struct Snapshot {
    struct Source {
      KvSourceId source{};
      EndpointId endpoint{};
      uint32_t rank = 0;
      std::optional<KvStreamPosition> position;
    };
    std::vector<Source> sources;
    std::vector<HolderName> holders;
    std::string blocks;
  };
  Snapshot snapshot() const;

  // --- The writing thread ---

  std::optional<KvSourceId> add_source(EndpointId endpoint, uint32_t rank,
                                       std::string name) override;
  void remove_source(KvSourceId source) override;
  Result<KvBatchApplied> apply(KvSourceId source, std::string_view batch, TimePoint now) override;
  // The events of one batch that were decoded elsewhere. Valid until the next call.
  KvEventSink& events_of(KvSourceId source, TimePoint now);
  // A source of which more was told than it may have (source_blocks_max) counts as stale until
  // clear(), whatever is said here.
  void set_freshness(KvSourceId source, KvFreshness freshness) override;
  void clear(KvSourceId source) override;
  std::optional<KvStreamPosition> position(KvSourceId source) override;
  void set_position(KvSourceId source, const std::optional<KvStreamPosition>& position) override;
  // What snapshot() of another tracker said, before anything else comes. `holders`: those of the
  // snapshot in its order, with the sources that they have here; nullopt: its blocks are left out.
  struct RestoredHolder {
    std::optional<KvSourceId> source;
    uint32_t group = 0;
    uint32_t block_tokens = 0;
  };
  Result<RestoredSnapshot> restore(std::string_view blocks,
                                   std::span<const RestoredHolder> holders);
  // The name of an adapter that is known from elsewhere.
  void learn_adapter(std::string_view name);

  // clear() of all sources of an endpoint. Any thread.
  void clear_endpoint(EndpointId endpoint);

  // Does what was put off, a bounded piece. False: nothing is left. To be called when idle, and by
  // the clean-up interval.
  bool tidy(TimePoint now) override;

  // For its sizes and match(); the rest of it is not for anybody else.
  const BlockIndex& index() const;

 private:
  class State;
  const std::unique_ptr<State> state_;
};

}  // namespace kvasir
