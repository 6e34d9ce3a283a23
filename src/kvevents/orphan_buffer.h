// Stored events whose parent block is not known yet. They wait for it, for a while and in bounded
// memory, because events overtake each other after a restart or a loss: a replay brings the parents
// later than the children.
//
// When memory runs out, the oldest ones of the holder that brings the next go first, so that one
// engine cannot push out what others wait for. Not thread-safe.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "kvindex/block_index.h"

namespace kvasir {

// One event that waits.
struct OrphanBlocks {
  HolderId holder{};
  CacheTier tier = CacheTier::kGpu;
  uint64_t parent = 0;
  std::vector<uint64_t> engine_hashes;
  std::vector<uint64_t> contents;
  // Of `engine_hashes`, those that were removed while they waited. They are still the parents of
  // those behind them.
  std::vector<uint64_t> removed = {};
};

class OrphanBuffer {
 public:
  // `lost` is told of each event that is given up: whose it was. It must not call back.
  OrphanBuffer(size_t bytes_max, Duration lifetime, std::function<void(HolderId)> lost);

  bool empty() const { return waiting_.empty(); }
  size_t size() const { return waiting_.size(); }
  size_t bytes() const { return bytes_; }

  // Whether events of that holder wait.
  bool has(HolderId holder) const;

  void add(OrphanBlocks orphan, TimePoint now);
  // Takes out those that wait for that block.
  std::vector<OrphanBlocks> take(uint64_t parent);
  // The holder removed that block: of its events that wait the youngest with it forgets it. False:
  // none has it.
  bool remove(HolderId holder, CacheTier tier, uint64_t engine_hash);
  // The holder's cache is empty, so whatever waits is of no use. That is no loss.
  void forget(HolderId holder);
  void expire(TimePoint now);

 private:
  struct Waiting {
    OrphanBlocks blocks;
    TimePoint since{};
    uint64_t number = 0;
    size_t bytes = 0;
  };
  using Place = std::list<Waiting>::iterator;
  // Ordered, so that an event is found among many with equal hashes, too: whoever publishes chooses
  // them.
  using ParentKey = std::pair<uint64_t, uint64_t>;  // parent, number
  using HolderKey = std::pair<HolderId, uint64_t>;  // holder, number
  struct BlockKey {
    uint64_t engine_hash = 0;
    HolderId holder{};
    CacheTier tier{};
    uint64_t number = 0;

    auto operator<=>(const BlockKey&) const = default;
  };

  static size_t bytes_of(const OrphanBlocks& orphan);
  OrphanBlocks erase(Place event);
  void lose(Place event);

  const size_t bytes_max_;
  const Duration lifetime_;
  const std::function<void(HolderId)> lost_;
  std::list<Waiting> waiting_;  // oldest first
  std::map<ParentKey, Place> by_parent_;
  std::map<HolderKey, Place> by_holder_;
  std::map<BlockKey, Place> by_hash_;  // of the blocks that were not removed
  uint64_t next_number_ = 0;
  size_t bytes_ = 0;
};

}  // namespace kvasir
