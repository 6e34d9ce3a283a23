// A set of block hashes of limited size that forgets the least recently touched one.
//
// Open addressing beside a doubly linked list of indices. It grows by doubling up to its capacity
// and allocates nothing after that. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/block_hash.h"

namespace kvasir {

class LruBlockSet {
 public:
  // A larger capacity counts as this one.
  static constexpr size_t kCapacityMax = size_t{1} << 28;

  explicit LruBlockSet(size_t capacity) : capacity_(std::min(capacity, kCapacityMax)) {}

  size_t size() const { return nodes_.size() - free_.size(); }
  size_t capacity() const { return capacity_; }
  size_t memory_bytes() const {
    return slots_.capacity() * sizeof(Slot) + nodes_.capacity() * sizeof(Node) +
           free_.capacity() * sizeof(uint32_t);
  }

  bool contains(BlockHash hash) const;
  // Makes `hash` the most recent one; when that makes one too many, the least recent one goes.
  void touch(BlockHash hash);
  // Forgets the least recent ones that no longer fit, and gives memory back when that is most of
  // it.
  void set_capacity(size_t capacity);

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Slot {
    BlockHash hash = 0;
    uint32_t node = kNone;  // kNone: the slot is empty
  };
  struct Node {
    BlockHash hash = 0;
    uint32_t newer = kNone;
    uint32_t older = kNone;
  };

  size_t home(BlockHash hash) const { return (hash * 0x9e3779b97f4a7c15ULL) >> shift_; }
  size_t next(size_t slot) const { return (slot + 1) & (slots_.size() - 1); }
  // The slot that holds `hash`, or the empty one where it belongs. Precondition: slots_ is not
  // empty.
  size_t find(BlockHash hash) const;
  void add(BlockHash hash);
  void rebuild_slots(size_t slots);
  void compact();
  void empty_slot(size_t slot);
  uint32_t take_node();
  void link_newest(uint32_t node);
  void unlink(uint32_t node);
  void forget_oldest();

  size_t capacity_;
  unsigned shift_ = 63;      // 64 - log2(slots_.size())
  std::vector<Slot> slots_;  // a power of two, at most half full
  std::vector<Node> nodes_;
  std::vector<uint32_t> free_;  // nodes in no list
  uint32_t newest_ = kNone;
  uint32_t oldest_ = kNone;
};

}  // namespace kvasir
