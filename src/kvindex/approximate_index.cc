#include "kvindex/approximate_index.h"

#include <algorithm>

namespace kvasir {

ApproximateIndex::ApproximateIndex(size_t endpoints)
    : endpoints_(endpoints, LruBlockSet(kDefaultCapacityBlocks)) {}

// Doubling steps, then halving ones: most endpoints hold nothing or little of a prompt.
uint32_t ApproximateIndex::match(EndpointId endpoint, std::span<const BlockHash> chain) const {
  const LruBlockSet& blocks = endpoints_[index_of(endpoint)];
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

void ApproximateIndex::insert(EndpointId endpoint, std::span<const BlockHash> chain) {
  LruBlockSet& blocks = endpoints_[index_of(endpoint)];
  const auto head = chain.first(std::min(chain.size(), blocks.capacity()));
  std::for_each(head.rbegin(), head.rend(), [&blocks](BlockHash hash) { blocks.touch(hash); });
}

void ApproximateIndex::set_capacity(EndpointId endpoint, size_t blocks) {
  endpoints_[index_of(endpoint)].set_capacity(blocks);
}

size_t ApproximateIndex::size() const {
  size_t blocks = 0;
  for (const LruBlockSet& endpoint : endpoints_) blocks += endpoint.size();
  return blocks;
}

void ApproximateIndex::forget(EndpointId endpoint) {
  LruBlockSet& blocks = endpoints_[index_of(endpoint)];
  blocks = LruBlockSet(blocks.capacity());
}

}  // namespace kvasir
