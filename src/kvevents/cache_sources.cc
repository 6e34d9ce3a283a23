#include "kvevents/cache_sources.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace kvasir {

CacheSources::CacheSources(const CacheTrackerOptions& options)
    : ranks_max_(options.ranks_max),
      adapters_max_(options.adapters_max),
      sizes_max_(std::min(options.block_sizes_max, kBlockSizesMax)),
      endpoints_(options.endpoints_max),
      holders_(options.index.holders_max) {}

const CacheSources::EndpointState& CacheSources::endpoint(EndpointId id) const {
  static const EndpointState kNone;
  return index_of(id) < endpoints_.size() ? endpoints_[index_of(id)] : kNone;
}

CacheSources::SizeSet CacheSources::size_set(uint32_t block_tokens) const {
  for (size_t i = 0; i < sizes_.size(); ++i) {
    if (sizes_[i].groups > 0 && sizes_[i].tokens == block_tokens) {
      return static_cast<SizeSet>(1u << i);
    }
  }
  return 0;
}

std::vector<uint32_t> CacheSources::block_sizes() const {
  std::vector<uint32_t> sizes;
  for (const Size& size : sizes_) {
    if (size.groups > 0) sizes.push_back(size.tokens);
  }
  std::sort(sizes.begin(), sizes.end());
  return sizes;
}

CacheSource* CacheSources::find(KvSourceId id) const {
  const auto found = sources_.find(id);
  return found == sources_.end() ? nullptr : found->second.get();
}

CacheSource* CacheSources::add(EndpointId endpoint, uint32_t rank, std::string name) {
  if (index_of(endpoint) >= endpoints_.size()) return nullptr;
  if (endpoint_of(endpoint).sources.size() >= ranks_max_) return nullptr;
  auto source = std::make_unique<CacheSource>();
  source->id = KvSourceId{next_id_++};
  source->endpoint = endpoint;
  source->rank = rank;
  source->name = std::move(name);
  CacheSource* const added = source.get();
  std::unique_lock lock(mutex_);
  sources_.emplace(added->id, std::move(source));
  endpoint_of(endpoint).sources.push_back(added);
  refresh(endpoint);
  return added;
}

void CacheSources::drop(CacheSource& source) {
  const EndpointId endpoint = source.endpoint;
  for (const CacheGroup& group : source.groups) count_size(group.block_tokens, -1);
  std::erase(endpoint_of(endpoint).sources, &source);
  sources_.erase(source.id);
  refresh(endpoint);
}

void CacheSources::update_freshness(CacheSource& source) {
  KvFreshness freshness = source.overflowed ? KvFreshness::kStale : source.told;
  if (freshness == KvFreshness::kExact && source.lacks_blocks) freshness = KvFreshness::kIncomplete;
  if (source.freshness == freshness) return;
  std::unique_lock lock(mutex_);
  source.freshness = freshness;
  refresh(source.endpoint);
}

void CacheSources::lose_blocks(CacheSource& source) {
  if (std::exchange(source.lacks_blocks, true)) return;
  update_freshness(source);
}

bool CacheSources::can_have_size(uint32_t block_tokens) const {
  if (size_set(block_tokens) != 0) return true;
  return block_sizes().size() < sizes_max_;
}

void CacheSources::add_group(CacheSource& source, const CacheGroup& group) {
  std::unique_lock lock(mutex_);
  source.groups.push_back(group);
  holders_[index_of(group.holder)] = {&source, group.number, group.block_tokens};
  count_size(group.block_tokens, 1);
  refresh(source.endpoint);
}

void CacheSources::announce(CacheSource& source, CacheGroup& group, uint32_t number,
                            uint32_t block_tokens) {
  std::unique_lock lock(mutex_);
  if (group.block_tokens != block_tokens) {
    count_size(group.block_tokens, -1);
    count_size(block_tokens, 1);
  }
  group.number = number;
  group.block_tokens = block_tokens;
  group.announced = true;
  holders_[index_of(group.holder)] = {&source, number, block_tokens};
  refresh(source.endpoint);
}

void CacheSources::doubt_groups(CacheSource& source) {
  std::unique_lock lock(mutex_);
  for (CacheGroup& group : source.groups) group.announced = false;
}

bool CacheSources::add_adapter(std::string_view name) {
  if (adapters_.contains(name)) return true;
  if (adapters_.size() >= adapters_max_) return false;
  std::unique_lock lock(mutex_);
  adapters_.emplace(name);
  has_adapters_.store(true, std::memory_order_release);
  version_.fetch_add(1, std::memory_order_release);
  return true;
}

void CacheSources::count_size(uint32_t block_tokens, int by) {
  for (Size& size : sizes_) {
    if (size.groups == 0 || size.tokens != block_tokens) continue;
    size.groups += static_cast<size_t>(by);
    if (size.groups == 0) version_.fetch_add(1, std::memory_order_release);
    return;
  }
  for (Size& size : sizes_) {
    if (by < 0 || size.groups > 0) continue;
    size = {block_tokens, 1};
    version_.fetch_add(1, std::memory_order_release);
    return;
  }
}

void CacheSources::refresh(EndpointId id) {
  EndpointState& state = endpoint_of(id);
  bool known = false;
  bool stale = false;
  state.sizes = 0;
  for (const CacheSource* source : state.sources) {
    known |=
        source->freshness == KvFreshness::kExact || source->freshness == KvFreshness::kIncomplete;
    stale |= source->freshness == KvFreshness::kStale;
    for (const CacheGroup& group : source->groups) state.sizes |= size_set(group.block_tokens);
  }
  state.usable = known && !stale;
}

}  // namespace kvasir
