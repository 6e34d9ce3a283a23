#include "kvevents/expected_prefixes.h"

#include <algorithm>
#include <mutex>

#include "base/random.h"

namespace kvasir {

namespace {

// An entry of the map, and room for it to grow.
constexpr size_t kBlockBytes = 64;
// So many blocks ahead the map's places are fetched.
constexpr size_t kFetchedAhead = 16;

uint64_t ticks_of(TimePoint time) {
  return static_cast<uint64_t>(time.time_since_epoch().count());
}

uint64_t key_of(BlockHash hash, uint64_t secret) {
  return mix64(hash ^ secret);
}

}  // namespace

ExpectedPrefixes::ExpectedPrefixes(size_t blocks_max, size_t endpoints_max)
    : blocks_max_(blocks_max),
      endpoints_(endpoints_max),
      states_(std::make_unique<State[]>(endpoints_max)),
      budget_((blocks_max + 64) * kBlockBytes),
      until_(budget_) {}

// What was forgotten is under keys that nobody asks for any more, and goes when its time is over.
uint64_t ExpectedPrefixes::secret_of(EndpointId endpoint) const {
  const State& state = states_[index_of(endpoint)];
  const uint64_t generation = state.generation.load(std::memory_order_relaxed);
  return mix64((generation << 32) | index_of(endpoint));
}

bool ExpectedPrefixes::any(EndpointId endpoint) const {
  return index_of(endpoint) < endpoints_ &&
         states_[index_of(endpoint)].blocks.load(std::memory_order_relaxed) > 0;
}

void ExpectedPrefixes::add(EndpointId endpoint, BlockChain& chain, size_t first, TimePoint now,
                           TimePoint until) {
  if (index_of(endpoint) >= endpoints_ || blocks_max_ == 0 || until <= now) return;
  std::span<const BlockHash> hashes = chain.at_least(chain.blocks());
  hashes = hashes.subspan(std::min(first, hashes.size()));
  hashes = hashes.last(std::min(blocks_max_, hashes.size()));
  State& state = states_[index_of(endpoint)];
  std::unique_lock lock(mutex_);
  while (!prompts_.empty() && prompts_.front().until <= now) drop_oldest(prompts_.front().blocks);
  if (hashes.empty()) return;
  const size_t room = blocks_max_ - hashes.size();
  while (keys_.size() > room) drop_oldest(keys_.size() - room);
  prompts_.push_back({until, index_of(endpoint), state.generation, hashes.size()});
  const uint64_t secret = secret_of(endpoint);
  for (size_t i = 0; i < hashes.size(); ++i) {
    if (i + kFetchedAhead < hashes.size()) {
      until_.prefetch(key_of(hashes[i + kFetchedAhead], secret));
    }
    const uint64_t key = key_of(hashes[i], secret);
    keys_.push_back(key);
    if (uint64_t* const known = until_.find(key)) {
      *known = ticks_of(until);
    } else {
      until_.insert(key, ticks_of(until));  // without memory it is not expected
    }
  }
  state.blocks.fetch_add(static_cast<uint32_t>(hashes.size()), std::memory_order_relaxed);
}

// At most those of the oldest prompt.
void ExpectedPrefixes::drop_oldest(size_t blocks) {
  Prompt& prompt = prompts_.front();
  blocks = std::min(blocks, prompt.blocks);
  for (size_t i = 0; i < blocks; ++i, keys_.pop_front()) {
    if (i + kFetchedAhead < blocks) until_.prefetch(keys_[kFetchedAhead]);
    const uint64_t* const found = until_.find(keys_.front());
    if (found != nullptr && *found <= ticks_of(prompt.until)) until_.erase(keys_.front());
  }
  State& state = states_[prompt.endpoint];
  if (state.generation.load(std::memory_order_relaxed) == prompt.generation) {
    state.blocks.fetch_sub(static_cast<uint32_t>(blocks), std::memory_order_relaxed);
  }
  prompt.blocks -= blocks;
  if (prompt.blocks == 0) prompts_.pop_front();
}

size_t ExpectedPrefixes::count(EndpointId endpoint, BlockChain& chain, size_t first,
                               TimePoint now) const {
  if (!any(endpoint)) return 0;
  std::shared_lock lock(mutex_);
  const uint64_t secret = secret_of(endpoint);
  const size_t blocks = chain.blocks();
  for (size_t block = first; block < blocks;) {
    const std::span<const BlockHash> hashes = chain.at_least(block + 1);
    for (; block < hashes.size(); ++block) {
      if (block + kFetchedAhead < hashes.size() && block > first) {
        until_.prefetch(key_of(hashes[block + kFetchedAhead], secret));
      }
      const uint64_t* const until = until_.find(key_of(hashes[block], secret));
      if (until == nullptr || *until <= ticks_of(now)) return block - first;
    }
  }
  return std::max(first, blocks) - first;
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
  return keys_.size();
}

}  // namespace kvasir
