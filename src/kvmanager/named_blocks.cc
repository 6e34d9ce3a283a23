#include "kvmanager/named_blocks.h"

#include <algorithm>

namespace kvasir {

void NamedBlockSets::apply(EndpointId id, const KvJsonEvent& event) {
  std::lock_guard lock(mutex_);
  Pod& pod = pods_[index_of(id)];
  const uint64_t name = kv_block_name(event.block_hash);
  pod.counts.last_event = std::max(pod.counts.last_event, event.timestamp.value_or(0));
  switch (event.type) {
    case KvJsonEvent::Type::kCreated:
      return create(pod, name, event);
    case KvJsonEvent::Type::kEvicted:
      return evict(pod, name);
    case KvJsonEvent::Type::kUpdated: {
      const auto block = pod.blocks.find(name);
      if (block != pod.blocks.end()) resize(pod, block->second, event);
    }
  }
}

void NamedBlockSets::create(Pod& pod, uint64_t name, const KvJsonEvent& event) {
  if (blocks_ >= blocks_max_ && !pod.blocks.contains(name)) {
    ++pod.counts.refused;
    return;
  }
  const auto [block, is_new] = pod.blocks.try_emplace(name);
  if (is_new) {
    ++pod.counts.stored;
    ++holders_[name];
    ++blocks_;
  }
  if (event.num_tokens) pod.counts.block_tokens = *event.num_tokens;
  const uint32_t layer = event.layer_id.value_or(0);
  if (layer >= kLayersMax || block->second.layers.test(layer)) {
    return resize(pod, block->second, event);
  }
  block->second.layers.set(layer);
  if (event.cache_size_bytes.value_or(UINT64_MAX) > kBlockBytesMax) return;
  block->second.bytes += *event.cache_size_bytes;
  pod.counts.bytes = pod.counts.bytes.value_or(0) + *event.cache_size_bytes;
}

// What an event says again of one layer replaces that layer's share.
void NamedBlockSets::resize(Pod& pod, Block& block, const KvJsonEvent& event) {
  if (event.cache_size_bytes.value_or(UINT64_MAX) > kBlockBytesMax || block.layers.none()) return;
  const uint64_t share = block.bytes / block.layers.count();
  const uint64_t bytes = block.bytes - share + *event.cache_size_bytes;
  pod.counts.bytes = pod.counts.bytes.value_or(0) - block.bytes + bytes;
  block.bytes = bytes;
}

void NamedBlockSets::evict(Pod& pod, uint64_t name) {
  const auto block = pod.blocks.find(name);
  if (block == pod.blocks.end()) return;
  ++pod.counts.removed;
  if (pod.counts.bytes) *pod.counts.bytes -= block->second.bytes;
  pod.blocks.erase(block);
  --blocks_;
  const auto holders = holders_.find(name);
  if (--holders->second == 0) holders_.erase(holders);
}

void NamedBlockSets::forget(EndpointId id) {
  std::lock_guard lock(mutex_);
  const auto pod = pods_.find(index_of(id));
  if (pod == pods_.end()) return;
  for (const auto& [name, block] : pod->second.blocks) {
    const auto holders = holders_.find(name);
    if (--holders->second == 0) holders_.erase(holders);
  }
  blocks_ -= pod->second.blocks.size();
  pods_.erase(pod);
}

NamedBlockSets::Found NamedBlockSets::find(EndpointId id, std::span<const uint64_t> names) const {
  std::lock_guard lock(mutex_);
  Found found;
  const auto pod = pods_.find(index_of(id));
  if (pod == pods_.end()) return found;
  for (size_t i = 0; i < names.size(); ++i) {
    if (!pod->second.blocks.contains(names[i])) continue;
    ++found.present;
    if (found.leading == i) ++found.leading;
  }
  return found;
}

std::optional<NamedBlockSets::PodCounts> NamedBlockSets::counts(EndpointId id) const {
  std::lock_guard lock(mutex_);
  const auto pod = pods_.find(index_of(id));
  if (pod == pods_.end()) return std::nullopt;
  PodCounts counts = pod->second.counts;
  counts.blocks = pod->second.blocks.size();
  return counts;
}

size_t NamedBlockSets::distinct() const {
  std::lock_guard lock(mutex_);
  return holders_.size();
}

}  // namespace kvasir
