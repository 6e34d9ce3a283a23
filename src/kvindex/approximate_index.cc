#include "kvindex/approximate_index.h"

#include <algorithm>

namespace kvasir {
namespace {

// Doubling steps, then halving ones: most endpoints hold nothing or little of a prompt.
uint32_t leading(const LruBlockSet& blocks, std::span<const BlockHash> chain) {
  size_t present = 0;            // chain[present - 1] is there
  size_t absent = chain.size();  // chain[absent] is not, or is past the end
  for (size_t step = 1; present + step <= chain.size(); step *= 2) {
    if (!blocks.contains(chain[present + step - 1])) {
      absent = present + step - 1;
      break;
    }
    present += step;
  }
  while (present < absent) {
    const size_t middle = present + (absent - present) / 2;
    if (blocks.contains(chain[middle])) {
      present = middle + 1;
    } else {
      absent = middle;
    }
  }
  return static_cast<uint32_t>(present);
}

}  // namespace

ApproximateIndex::ApproximateIndex(const PrefixIndexOptions& options)
    : blocks_max_(options.blocks_max()),
      endpoints_(options.endpoints,
                 Held{LruBlockSet(options.capacity_blocks), options.capacity_blocks}) {}

void ApproximateIndex::match(const PromptView& prompt, std::span<const EndpointId> endpoints,
                             std::span<uint32_t> matched) const {
  for (const EndpointId id : endpoints) {
    matched[index_of(id)] = leading(endpoints_[index_of(id)].blocks, prompt.hashes);
  }
}

void ApproximateIndex::insert(EndpointId endpoint, const PromptView& prompt) {
  Held& held = endpoints_[index_of(endpoint)];
  if (prompt.hashes.empty() || held.capacity == 0) return;
  if (!held.counted) count(held, true);
  const auto head = prompt.head(held.blocks.capacity()).hashes;
  std::for_each(head.rbegin(), head.rend(), [&held](BlockHash hash) { held.blocks.touch(hash); });
}

void ApproximateIndex::set_capacity(EndpointId endpoint, size_t blocks) {
  Held& held = endpoints_[index_of(endpoint)];
  blocks = std::min(blocks, LruBlockSet::kCapacityMax);
  if (held.capacity == blocks) return;
  const bool counted = held.counted;
  if (counted) count(held, false);
  held.capacity = blocks;
  held.blocks.set_capacity(std::min(blocks, share_));
  if (counted) count(held, true);
}

void ApproximateIndex::forget(EndpointId endpoint) {
  Held& held = endpoints_[index_of(endpoint)];
  held.blocks = LruBlockSet(held.blocks.capacity());
  if (held.counted) count(held, false);
}

void ApproximateIndex::count(Held& held, bool counted) {
  held.counted = counted;
  holders_ = counted ? holders_ + 1 : holders_ - 1;
  promised_ = counted ? promised_ + held.capacity : promised_ - held.capacity;
  share_out();
}

// Looks at all endpoints only when the share changes: as long as the capacities fit it does not.
void ApproximateIndex::share_out() {
  const size_t share =
      promised_ <= blocks_max_ ? LruBlockSet::kCapacityMax : blocks_max_ / holders_;
  if (share == share_) return;
  share_ = share;
  for (Held& held : endpoints_) held.blocks.set_capacity(std::min(held.capacity, share));
}

size_t ApproximateIndex::size() const {
  size_t blocks = 0;
  for (const Held& held : endpoints_) blocks += held.blocks.size();
  return blocks;
}

size_t ApproximateIndex::memory_bytes() const {
  size_t bytes = endpoints_.capacity() * sizeof(Held);
  for (const Held& held : endpoints_) bytes += held.blocks.memory_bytes();
  return bytes;
}

}  // namespace kvasir
