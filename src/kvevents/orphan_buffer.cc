#include "kvevents/orphan_buffer.h"

namespace kvasir {
namespace {

// What the containers take beside the hashes themselves, by their nodes as libstdc++ has them.
constexpr size_t kBytesPerOrphan = 512;
constexpr size_t kBytesPerOrphanBlock = 3 * sizeof(uint64_t) + 80;

}  // namespace

OrphanBuffer::OrphanBuffer(size_t bytes_max, Duration lifetime, std::function<void(HolderId)> lost)
    : bytes_max_(bytes_max), lifetime_(lifetime), lost_(std::move(lost)) {}

size_t OrphanBuffer::bytes_of(const OrphanBlocks& orphan) {
  return kBytesPerOrphan + orphan.engine_hashes.size() * kBytesPerOrphanBlock;
}

bool OrphanBuffer::has(HolderId holder) const {
  const auto own = by_holder_.lower_bound({holder, 0});
  return own != by_holder_.end() && own->first.first == holder;
}

void OrphanBuffer::add(OrphanBlocks orphan, TimePoint now) {
  const size_t bytes = bytes_of(orphan);
  if (bytes > bytes_max_) return lost_(orphan.holder);
  while (bytes_ + bytes > bytes_max_) {
    const auto own = by_holder_.lower_bound({orphan.holder, 0});
    const bool has_own = own != by_holder_.end() && own->first.first == orphan.holder;
    lose(has_own ? own->second : waiting_.begin());
  }
  const Place event =
      waiting_.insert(waiting_.end(), Waiting{std::move(orphan), now, next_number_++, bytes});
  const OrphanBlocks& blocks = event->blocks;
  by_parent_.emplace(ParentKey{blocks.parent, event->number}, event);
  by_holder_.emplace(HolderKey{blocks.holder, event->number}, event);
  for (const uint64_t hash : blocks.engine_hashes) {
    by_hash_.emplace(BlockKey{hash, blocks.holder, blocks.tier, event->number}, event);
  }
  bytes_ += bytes;
}

std::vector<OrphanBlocks> OrphanBuffer::take(uint64_t parent) {
  std::vector<OrphanBlocks> taken;
  for (auto found = by_parent_.lower_bound({parent, 0});
       found != by_parent_.end() && found->first.first == parent;
       found = by_parent_.lower_bound({parent, 0})) {
    taken.push_back(erase(found->second));
  }
  return taken;
}

bool OrphanBuffer::remove(HolderId holder, CacheTier tier, uint64_t engine_hash) {
  auto found = by_hash_.upper_bound(BlockKey{engine_hash, holder, tier, UINT64_MAX});
  if (found == by_hash_.begin()) return false;
  --found;
  const BlockKey& key = found->first;
  if (key.engine_hash != engine_hash || key.holder != holder || key.tier != tier) return false;
  found->second->blocks.removed.push_back(engine_hash);
  by_hash_.erase(found);
  return true;
}

void OrphanBuffer::forget(HolderId holder) {
  for (auto own = by_holder_.lower_bound({holder, 0});
       own != by_holder_.end() && own->first.first == holder;
       own = by_holder_.lower_bound({holder, 0})) {
    erase(own->second);
  }
}

void OrphanBuffer::expire(TimePoint now) {
  while (!waiting_.empty() && time_after(waiting_.front().since, lifetime_) <= now) {
    lose(waiting_.begin());
  }
}

void OrphanBuffer::lose(Place event) {
  lost_(erase(event).holder);
}

OrphanBlocks OrphanBuffer::erase(Place event) {
  OrphanBlocks blocks = std::move(event->blocks);
  by_parent_.erase({blocks.parent, event->number});
  by_holder_.erase({blocks.holder, event->number});
  for (const uint64_t hash : blocks.engine_hashes) {
    by_hash_.erase({hash, blocks.holder, blocks.tier, event->number});
  }
  bytes_ -= event->bytes;
  waiting_.erase(event);
  return blocks;
}

}  // namespace kvasir
