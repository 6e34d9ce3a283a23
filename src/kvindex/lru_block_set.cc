#include "kvindex/lru_block_set.h"

#include <utility>

namespace kvasir {
namespace {

constexpr size_t kSmallestTable = 16;

}  // namespace

bool LruBlockSet::contains(BlockHash hash) const {
  return !slots_.empty() && slots_[find(hash)].node != kNone;
}

void LruBlockSet::touch(BlockHash hash) {
  if (capacity_ == 0) return;
  if (slots_.empty()) rebuild_slots(kSmallestTable);
  const uint32_t node = slots_[find(hash)].node;
  if (node == newest_ && node != kNone) return;
  if (node != kNone) {
    unlink(node);
    link_newest(node);
    return;
  }
  if (size() == capacity_) forget_oldest();
  add(hash);
}

void LruBlockSet::set_capacity(size_t capacity) {
  capacity_ = std::min(capacity, kCapacityMax);
  while (size() > capacity_) forget_oldest();
  if (nodes_.size() > kSmallestTable && nodes_.size() / 2 >= capacity_) compact();
}

void LruBlockSet::compact() {
  LruBlockSet smaller(capacity_);
  for (uint32_t node = oldest_; node != kNone; node = nodes_[node].newer) {
    smaller.touch(nodes_[node].hash);
  }
  *this = std::move(smaller);
}

size_t LruBlockSet::find(BlockHash hash) const {
  size_t slot = home(hash);
  while (slots_[slot].node != kNone && slots_[slot].hash != hash) slot = next(slot);
  return slot;
}

void LruBlockSet::add(BlockHash hash) {
  if (2 * (size() + 1) > slots_.size()) rebuild_slots(2 * slots_.size());
  const uint32_t node = take_node();
  nodes_[node].hash = hash;
  link_newest(node);
  slots_[find(hash)] = Slot{hash, node};
}

void LruBlockSet::rebuild_slots(size_t slots) {
  slots_.assign(slots, Slot{});
  shift_ = 64;
  for (size_t size = slots; size > 1; size /= 2) --shift_;
  for (uint32_t node = newest_; node != kNone; node = nodes_[node].older) {
    slots_[find(nodes_[node].hash)] = Slot{nodes_[node].hash, node};
  }
}

// Closes the gap by moving back every following slot that its gap keeps from its home.
void LruBlockSet::empty_slot(size_t slot) {
  const size_t mask = slots_.size() - 1;
  size_t gap = slot;
  for (size_t at = next(gap); slots_[at].node != kNone; at = next(at)) {
    const size_t from_home = (at - home(slots_[at].hash)) & mask;
    if (from_home < ((at - gap) & mask)) continue;
    slots_[gap] = slots_[at];
    gap = at;
  }
  slots_[gap] = Slot{};
}

uint32_t LruBlockSet::take_node() {
  if (free_.empty()) {
    nodes_.emplace_back();
    return static_cast<uint32_t>(nodes_.size() - 1);
  }
  const uint32_t node = free_.back();
  free_.pop_back();
  return node;
}

void LruBlockSet::link_newest(uint32_t node) {
  nodes_[node].newer = kNone;
  nodes_[node].older = newest_;
  (newest_ == kNone ? oldest_ : nodes_[newest_].newer) = node;
  newest_ = node;
}

void LruBlockSet::unlink(uint32_t node) {
  const Node& links = nodes_[node];
  (links.newer == kNone ? newest_ : nodes_[links.newer].older) = links.older;
  (links.older == kNone ? oldest_ : nodes_[links.older].newer) = links.newer;
}

void LruBlockSet::forget_oldest() {
  const uint32_t node = oldest_;
  empty_slot(find(nodes_[node].hash));
  unlink(node);
  free_.push_back(node);
}

}  // namespace kvasir
