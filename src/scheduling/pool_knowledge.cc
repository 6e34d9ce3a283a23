#include "scheduling/pool_knowledge.h"

#include <algorithm>

#include "kvindex/approximate_index.h"

namespace kvasir {
namespace {

std::shared_ptr<PrefixIndex> empty_index(size_t endpoints) {
  PrefixIndexOptions options;
  options.endpoints = endpoints;
  return std::make_shared<ApproximateIndex>(options);
}

}  // namespace

SharedPrefixIndex::SharedPrefixIndex(BlockSize block, size_t endpoints)
    : block_(block), endpoints_(endpoints), index_(empty_index(endpoints)) {}

void PoolKnowledge::share(std::span<SharedPrefixIndex* const> used) {
  std::erase_if(known_, [&](const Known& known) {
    const bool wanted = std::any_of(used.begin(), used.end(), [&](const SharedPrefixIndex* index) {
      return index->block() == known.block && index->endpoints() == known.endpoints;
    });
    return !wanted && !known.used;
  });
  for (Known& known : known_) known.used = false;
  for (SharedPrefixIndex* index : used) {
    const auto found = std::find_if(known_.begin(), known_.end(), [&](const Known& known) {
      return known.block == index->block() && known.endpoints == index->endpoints();
    });
    if (found == known_.end()) {
      known_.push_back({index->block(), index->endpoints(), index->index()});
    } else {
      index->become(found->index);
      found->used = true;
    }
  }
}

void PoolKnowledge::endpoint_replaced(EndpointId endpoint) {
  for (const Known& known : known_) {
    if (!known.used && index_of(endpoint) < known.endpoints) known.index->forget(endpoint);
  }
}

void PoolKnowledge::forget(EndpointId endpoint) {
  for (const Known& known : known_) {
    if (index_of(endpoint) < known.endpoints) known.index->forget(endpoint);
  }
}

}  // namespace kvasir
