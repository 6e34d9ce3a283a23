#include "kvevents/expected_prefixes.h"

#include <mutex>

#include "base/random.h"

namespace kvasir {

ExpectedPrefixes::ExpectedPrefixes(size_t blocks_max, size_t endpoints_max)
    : blocks_max_(blocks_max),
      endpoints_(endpoints_max),
      states_(std::make_unique<State[]>(endpoints_max)) {}

// What was forgotten is under a key that nobody asks for any more, and goes when its time is over.
uint64_t ExpectedPrefixes::key_of(EndpointId endpoint, BlockHash hash) const {
  const State& state = states_[index_of(endpoint)];
  const uint64_t generation = state.generation.load(std::memory_order_relaxed);
  return mix64(hash ^ mix64((generation << 32) | index_of(endpoint)));
}

bool ExpectedPrefixes::any(EndpointId endpoint) const {
  return index_of(endpoint) < endpoints_ &&
         states_[index_of(endpoint)].blocks.load(std::memory_order_relaxed) > 0;
}

void ExpectedPrefixes::add(EndpointId endpoint, BlockChain& chain, size_t first, TimePoint now,
                           TimePoint until) {
  if (index_of(endpoint) >= endpoints_ || blocks_max_ == 0) return;
  const std::span<const BlockHash> hashes = chain.at_least(chain.blocks());
  State& state = states_[index_of(endpoint)];
  std::unique_lock lock(mutex_);
  while (!records_.empty() && records_.front().until <= now) drop_oldest();
  for (size_t block = first; block < hashes.size(); ++block) {
    while (records_.size() >= blocks_max_) drop_oldest();
    const uint64_t key = key_of(endpoint, hashes[block]);
    until_[key] = until;
    records_.push_back({key, until, index_of(endpoint), state.generation});
    state.blocks.fetch_add(1, std::memory_order_relaxed);
  }
}

void ExpectedPrefixes::drop_oldest() {
  const Record& record = records_.front();
  const auto found = until_.find(record.key);
  if (found != until_.end() && found->second <= record.until) until_.erase(found);
  State& state = states_[record.endpoint];
  if (state.generation.load(std::memory_order_relaxed) == record.generation) {
    state.blocks.fetch_sub(1, std::memory_order_relaxed);
  }
  records_.pop_front();
}

size_t ExpectedPrefixes::count(EndpointId endpoint, BlockChain& chain, size_t first,
                               TimePoint now) const {
  if (!any(endpoint)) return 0;
  std::shared_lock lock(mutex_);
  size_t block = first;
  for (; block < chain.blocks(); ++block) {
    const auto found = until_.find(key_of(endpoint, chain.at_least(block + 1)[block]));
    if (found == until_.end() || found->second <= now) break;
  }
  return block - first;
}

void ExpectedPrefixes::forget(EndpointId endpoint) {
  if (index_of(endpoint) >= endpoints_) return;
  std::unique_lock lock(mutex_);
  State& state = states_[index_of(endpoint)];
  state.generation.fetch_add(1, std::memory_order_relaxed);
  state.blocks.store(0, std::memory_order_relaxed);
}

size_t ExpectedPrefixes::size() const {
  std::shared_lock lock(mutex_);
  return records_.size();
}

}  // namespace kvasir
