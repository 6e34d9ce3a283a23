// The inside of a CacheTracker: what one batch of events does to the index.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "kvevents/cache_sources.h"
#include "kvevents/cache_tracker.h"
#include "kvevents/expected_prefixes.h"
#include "kvevents/orphan_buffer.h"
#include "wire/kv_events/kv_event_decoder.h"

namespace kvasir {

// Applies the events of one source. The writing thread's, which holds State::writing.
class CacheEventApplier final : public KvEventSink {
 public:
  CacheEventApplier(const CacheTrackerOptions& options, BlockIndex& index, CacheSources& sources,
                    OrphanBuffer& orphans, ExpectedPrefixes& expected);

  // Of whose the next events are.
  void begin(CacheSource& source, TimePoint now);
  void end();
  // Whether an event since begin() said that the cache is empty.
  bool cleared() const { return cleared_; }
  // Why an event since begin() could not be used, when the source has no group of blocks; else "".
  std::string_view unusable() const { return unusable_; }

  void on_stored(const KvBlocksStored& event) override;
  void on_removed(const KvBlocksRemoved& event) override;
  void on_all_cleared() override;
  void on_skipped(std::string_view why) override;

  void clear(CacheSource& source);
  // For blocks that are known from elsewhere. nullopt: there is no place for it.
  std::optional<HolderId> add_holder(CacheSource& source, uint32_t group, uint32_t block_tokens);
  // Forgets the holders of a source that is about to go.
  void remove(CacheSource& source);
  // After blocks were forgotten that no event named, or restored.
  void recount();
  // An event of it waited in vain for its parent.
  void lose_orphan(CacheSource& source);
  uint64_t full() const { return full_.load(std::memory_order_relaxed); }

 private:
  CacheGroup* group_for(uint32_t number, uint32_t block_tokens, bool gpu);
  void store(const StoredBlocks& blocks);
  void attach_held(StoredBlocks& blocks);
  void store_missing(const StoredBlocks& blocks);
  bool was_announced(const StoredBlocks& blocks);
  bool has_room(CacheSource& source, size_t blocks);
  void note_full(CacheSource& source);
  void skip_stored(std::string_view why);
  void adopt(std::span<const uint64_t> engine_hashes);
  void adopt_one(OrphanBlocks orphan, std::vector<uint64_t>& parents);
  void count_blocks(CacheSource& source);
  void skip(std::string_view why);
  static void count(CacheSourceCounters::Count& counter, uint64_t by = 1) {
    counter.fetch_add(by, std::memory_order_relaxed);
  }

  const CacheTrackerOptions& options_;
  BlockIndex& index_;
  CacheSources& sources_;
  OrphanBuffer& orphans_;
  ExpectedPrefixes& expected_;
  CacheSource* source_ = nullptr;
  TimePoint now_{};
  bool cleared_ = false;
  std::string unusable_;
  std::vector<uint64_t> contents_;
  std::atomic<uint64_t> full_{0};
};

class CacheTracker::State {
 public:
  State(const CacheTrackerOptions& given, std::unique_ptr<BlockIndex> with);

  // For events_of(): takes the lock for each event.
  class LockedSink final : public KvEventSink {
   public:
    explicit LockedSink(State& state) : state_(state) {}
    void begin(KvSourceId source, TimePoint now) {
      source_ = source;
      now_ = now;
    }
    void on_stored(const KvBlocksStored& event) override;
    void on_removed(const KvBlocksRemoved& event) override;
    void on_all_cleared() override;
    void on_skipped(std::string_view why) override;

   private:
    template <class Apply>
    void with(Apply&& apply);

    State& state_;
    KvSourceId source_{};
    TimePoint now_{};
  };

  void heard(CacheSource& source, const KvBatchHead& head, TimePoint now);
  void keep_within_blocks_max();
  void set_time(TimePoint now);
  void find_exact(PromptChains prompt, std::span<const EndpointId> endpoints,
                  std::span<CachedPrefix> cached) const;
  void add_expected(PromptChains prompt, std::span<const EndpointId> endpoints,
                    std::span<CachedPrefix> cached) const;

  const CacheTrackerOptions options;
  // Held by whoever writes, for a batch; and by those who read what only the writing thread may.
  mutable std::mutex writing;
  const std::unique_ptr<BlockIndex> index;
  CacheSources sources;
  OrphanBuffer orphans;
  ExpectedPrefixes expected;
  CacheEventApplier applier;
  KvEventDecoder decoder;
  LockedSink sink{*this};
  TimePoint cleaned_at{};
  std::atomic<TimePoint::rep> now{0};  // the latest that was heard of
  // Of sources that are gone.
  std::atomic<uint64_t> stored_before{0}, removed_before{0}, cleared_before{0};
  std::atomic<uint64_t> orphans_waiting{0};
  std::atomic<uint64_t> orphan_bytes{0};
};

}  // namespace kvasir
