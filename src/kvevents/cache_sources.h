// The publishers of KV events and whose caches they tell of: what changes when an engine comes,
// goes or becomes stale, and not with its blocks.
//
// One thread writes; readers hold read_lock() while they use anything here. The writing thread
// reads without it.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "kvevents/cache_tracker.h"

namespace kvasir {

// One KV cache group of one source.
struct CacheGroup {
  uint32_t number = 0;
  HolderId holder{};
  uint32_t block_tokens = 0;
  // Blocks of it were, since the cache was cleared. Else it has none, and perhaps it never will:
  // an engine that restarted may have other groups.
  bool announced = true;
  // Blocks in the GPU's cache are of this size: so no other tier's blocks say another. Of the
  // writing thread alone.
  bool sized_by_gpu = false;
};

// Written by the writing thread only, read by any.
struct CacheSourceCounters {
  using Count = std::atomic<uint64_t>;
  Count blocks{0}, stored{0}, removed{0}, cleared{0}, batches{0}, stored_events{0},
      removed_events{0}, skipped{0}, partial{0}, unknown_parent{0}, unknown_blocks{0},
      announced_again{0}, refused{0};
  std::atomic<double> last_event{0};  // 0: none
  std::atomic<TimePoint::rep> heard_at{0};
};

struct CacheSource {
  KvSourceId id{};
  EndpointId endpoint{};
  uint32_t rank = 0;
  std::string name;
  KvFreshness freshness = KvFreshness::kNothingYet;  // in effect
  std::vector<CacheGroup> groups = {};
  CacheSourceCounters counters = {};
  // Of the writing thread alone.
  KvFreshness told = KvFreshness::kNothingYet;
  std::optional<KvStreamPosition> position = {};
  bool announces_again = false;
  bool overflowed = false;  // source_blocks_max: stale until it is cleared, whatever is told
  // It announced blocks that are not known: incomplete until it is cleared, where exact is told.
  bool lacks_blocks = false;

  std::optional<KvStreamPosition> known_position() const {
    std::optional<KvStreamPosition> known = position;
    if (known && lacks_blocks) known->complete = false;
    return known;
  }
  size_t announced_groups() const {
    return static_cast<size_t>(std::count_if(groups.begin(), groups.end(),
                                             [](const auto& group) { return group.announced; }));
  }
};

class CacheSources {
 public:
  // A block size of engines; which one it is in an endpoint's set of them.
  static constexpr size_t kBlockSizesMax = 8;
  using SizeSet = uint8_t;

  explicit CacheSources(const CacheTrackerOptions& options);

  // --- Readers, with read_lock() ---
  std::shared_lock<std::shared_mutex> read_lock() const { return std::shared_lock(mutex_); }

  struct EndpointState {
    bool usable = false;  // something is known of at least one source, and none is stale
    SizeSet sizes = 0;    // of its blocks
    std::vector<CacheSource*> sources = {};
  };
  const EndpointState& endpoint(EndpointId id) const;
  struct HolderState {
    CacheSource* source = nullptr;  // null: none has it
    uint32_t group = 0;
    uint32_t block_tokens = 0;
  };
  const HolderState& holder(HolderId id) const { return holders_[index_of(id)]; }
  // The set of one; empty when no engine has it.
  SizeSet size_set(uint32_t block_tokens) const;
  std::vector<uint32_t> block_sizes() const;
  bool is_adapter(std::string_view name) const { return adapters_.contains(name); }
  std::vector<std::string> adapters() const { return {adapters_.begin(), adapters_.end()}; }
  const std::map<KvSourceId, std::unique_ptr<CacheSource>>& all() const { return sources_; }

  // --- Any thread, without ---
  uint64_t version() const { return version_.load(std::memory_order_acquire); }
  bool has_adapters() const { return has_adapters_.load(std::memory_order_acquire); }

  // --- The writing thread ---
  CacheSource* add(EndpointId endpoint, uint32_t rank, std::string name);
  CacheSource* find(KvSourceId id) const;
  // `give_back` is called of each of its holders while no reader looks.
  template <class GiveBack>
  void remove(CacheSource& source, GiveBack&& give_back) {
    std::unique_lock lock(mutex_);
    for (const CacheGroup& group : source.groups) {
      holders_[index_of(group.holder)] = {};
      give_back(group.holder);
    }
    drop(source);
  }
  // After a change of what it depends on.
  void update_freshness(CacheSource& source);
  // Blocks that it has are not known from now on.
  void lose_blocks(CacheSource& source);
  // False: there are block_sizes_max others.
  bool can_have_size(uint32_t block_tokens) const;
  void add_group(CacheSource& source, const CacheGroup& group);
  // The group, which has no blocks, is that one from now on.
  void announce(CacheSource& source, CacheGroup& group, uint32_t number, uint32_t block_tokens);
  // All of its groups were cleared.
  void doubt_groups(CacheSource& source);
  // False: there are adapters_max others.
  bool add_adapter(std::string_view name);

 private:
  void drop(CacheSource& source);
  void refresh(EndpointId id);
  void count_size(uint32_t block_tokens, int by);
  EndpointState& endpoint_of(EndpointId id) { return endpoints_[index_of(id)]; }

  const size_t ranks_max_;
  const size_t adapters_max_;
  const size_t sizes_max_;
  mutable std::shared_mutex mutex_;
  std::map<KvSourceId, std::unique_ptr<CacheSource>> sources_;
  std::vector<EndpointState> endpoints_;
  std::vector<HolderState> holders_;
  struct Size {
    uint32_t tokens = 0;
    size_t groups = 0;  // that have it; 0: the place is free
  };
  std::array<Size, kBlockSizesMax> sizes_{};
  std::set<std::string, std::less<>> adapters_;
  std::atomic<bool> has_adapters_{false};
  std::atomic<uint64_t> version_{1};
  uint64_t next_id_ = 1;
};

}  // namespace kvasir
