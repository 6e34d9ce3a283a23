// Places of blocks: one number for each, and neighbours in a chain get neighbouring numbers where
// they can. Of each place it keeps the block's hash, its common name and its run.
//
// Places are given out in groups of eight, by the buddy method: any stretch of groups is found in
// the smallest free power of two, and what it leaves of that is free again. A group is free when
// none of its places is in a run.
//
// One thread changes it; hash() may be asked on any thread for any place that ever was given out.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kvindex/reserved_array.h"
#include "model/block_hash.h"

namespace kvasir {

class BlockSpace {
 public:
  static constexpr uint32_t kGroup = 8;
  static constexpr uint32_t kStretchMax = 8192;  // places
  static constexpr uint32_t kNoRun = 0x7fffffff;
  static constexpr uint32_t kForgotten = 0x7ffffffe;  // in no run, but not released yet
  static constexpr size_t kPlacesMax = size_t{1} << 30;
  static constexpr size_t kBytesPerPlace = 20;

  struct Stretch {
    uint32_t first = 0;
    uint32_t count = 0;  // 0: there is no room
  };

  BlockSpace(size_t places_max, MemoryBudget& budget);

  // Up to `count` places in a row, at least one if there is room. They are in no run yet. What is
  // not used is to be released.
  Stretch take(uint32_t count);
  // How many of the `count` places from `place` on could be had: they are taken then.
  uint32_t take_at(uint32_t place, uint32_t count);
  // They are in no run from now on.
  void release(uint32_t place, uint32_t count);

  BlockHash hash(uint32_t place) const { return hashes_[place].load(std::memory_order_acquire); }
  uint64_t name(uint32_t place) const { return names_[place]; }
  uint32_t run(uint32_t place) const { return runs_[place]; }
  bool exists(uint32_t place) const { return place < end_; }
  void set(uint32_t place, BlockHash hash, uint64_t name) {
    hashes_[place].store(hash, std::memory_order_release);
    names_[place] = name;
  }
  void set_run(uint32_t place, uint32_t run) { runs_[place] = run; }
  // Of `count` places from there on.
  void set_runs(uint32_t place, uint32_t count, uint32_t run) {
    std::fill_n(&runs_[place], count, run);
  }
  void prefetch(uint32_t place) const {
    __builtin_prefetch(&names_[place]);
    __builtin_prefetch(&runs_[place]);
  }

 private:
  static constexpr uint32_t kOrders = 11;  // kStretchMax / kGroup is the largest
  static constexpr uint32_t kNoGroup = UINT32_MAX;
  static constexpr uint32_t kFreeMark = 0x80000000;  // and the order, at the first of free groups

  // In the places of free groups stands which are the neighbours in the list of their order.
  uint32_t& mark(uint32_t group) { return runs_[size_t{group} * kGroup]; }
  uint32_t& next(uint32_t group) { return runs_[size_t{group} * kGroup + 1]; }
  uint32_t& previous(uint32_t group) { return runs_[size_t{group} * kGroup + 2]; }

  void link(uint32_t group, uint32_t order);
  void unlink(uint32_t group, uint32_t order);
  bool grow();
  void take_group(uint32_t group, uint32_t inside, uint32_t order);
  bool take_one(uint32_t group);
  void free_groups(uint32_t group, uint32_t count);
  void free_block(uint32_t group, uint32_t order);
  bool unused(uint32_t group) const;
  void prefetch_columns(uint32_t place, uint32_t count) const;

  ReservedArray<std::atomic<BlockHash>> hashes_;
  ReservedArray<uint64_t> names_;
  ReservedArray<uint32_t> runs_;
  uint32_t end_ = 0;  // places before it exist
  std::array<uint32_t, kOrders> free_{};
};

}  // namespace kvasir
