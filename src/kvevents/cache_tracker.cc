#include "kvevents/cache_tracker.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "hashing/token_blocks.h"
#include "kvevents/cache_tracker_state.h"
#include "kvindex/chain_index.h"

namespace kvasir {
namespace {

// What a rank with several groups has is known when each of them was looked at.
struct GroupMatch {
  const CacheSource* source = nullptr;
  CachedPrefix has{};
};

void take_better(CachedPrefix& best, const CachedPrefix& has) {
  if (!best.known ||
      std::tie(has.tokens, has.gpu_tokens) <= std::tie(best.tokens, best.gpu_tokens)) {
    return;
  }
  best.tokens = has.tokens;
  best.gpu_tokens = has.gpu_tokens;
}

const ChainOfSize* chain_of(PromptChains prompt, const CacheSources& sources,
                            CacheSources::SizeSet sizes) {
  const ChainOfSize* finest = nullptr;
  for (const ChainOfSize& chain : prompt) {
    if ((sources.size_set(chain.block_tokens) & sizes) == 0) continue;
    if (finest == nullptr || chain.block_tokens < finest->block_tokens) finest = &chain;
  }
  return finest;
}

}  // namespace

CacheTracker::State::State(const CacheTrackerOptions& given, std::unique_ptr<BlockIndex> with)
    : options(given),
      index(std::move(with)),
      sources(options),
      orphans(options.orphan_bytes_max, options.orphan_lifetime,
              [this](HolderId holder) {
                CacheSource* const source = sources.holder(holder).source;
                if (source != nullptr) applier.lose_orphan(*source);
              }),
      expected(options.expected_blocks_max, options.endpoints_max),
      applier(options, *index, sources, orphans, expected) {}

CacheTracker::CacheTracker(const CacheTrackerOptions& options)
    : CacheTracker(options, std::make_unique<ChainIndex>(options.index)) {}

CacheTracker::CacheTracker(const CacheTrackerOptions& options, std::unique_ptr<BlockIndex> index)
    : state_(std::make_unique<State>(options, std::move(index))) {}

CacheTracker::~CacheTracker() = default;

// --- What others ask -----------------------------------------------------------------------------

std::vector<uint32_t> CacheTracker::block_sizes() const {
  const auto lock = state_->sources.read_lock();
  return state_->sources.block_sizes();
}

uint64_t CacheTracker::version() const {
  return state_->sources.version();
}

BlockHash CacheTracker::root(std::string_view model, std::string_view cache_salt) const {
  if (!state_->sources.has_adapters()) return token_root("", cache_salt);
  const auto lock = state_->sources.read_lock();
  return token_root(state_->sources.is_adapter(model) ? model : std::string_view(), cache_salt);
}

void CacheTracker::match(PromptChains prompt, std::span<const EndpointId> endpoints,
                         std::span<CachedPrefix> cached) const {
  const auto lock = state_->sources.read_lock();
  state_->find_exact(prompt, endpoints, cached);
  state_->add_expected(prompt, endpoints, cached);
}

void CacheTracker::State::find_exact(PromptChains prompt, std::span<const EndpointId> endpoints,
                                     std::span<CachedPrefix> cached) const {
  CacheSources::SizeSet sizes = 0;
  for (const ChainOfSize& chain : prompt) sizes |= sources.size_set(chain.block_tokens);
  for (const EndpointId id : endpoints) {
    const CacheSources::EndpointState& endpoint = sources.endpoint(id);
    const bool comparable = !prompt.empty() && (endpoint.sizes & ~sizes) == 0;
    const ChainOfSize* const chain = chain_of(prompt, sources, endpoint.sizes);
    cached[index_of(id)] = {endpoint.usable && comparable, 0, 0,
                            chain != nullptr ? chain->block_tokens : 0};
  }
  thread_local std::vector<HolderMatch> matches;
  thread_local std::vector<GroupMatch> of_groups;
  of_groups.clear();
  for (const ChainOfSize& chain : prompt) {
    index->match(*chain.chain, matches);
    for (const HolderMatch& match : matches) {
      const CacheSources::HolderState& holder = sources.holder(match.holder);
      if (holder.source == nullptr || holder.block_tokens != chain.block_tokens) continue;
      const size_t endpoint = index_of(holder.source->endpoint);
      if (endpoint >= cached.size()) continue;
      const CachedPrefix has = {
          true, match.blocks * chain.block_tokens,
          match.by_tier[static_cast<size_t>(CacheTier::kGpu)] * chain.block_tokens};
      if (holder.source->announced_groups() == 1) {
        take_better(cached[endpoint], has);
      } else {
        of_groups.push_back({holder.source, has});
      }
    }
  }
  std::sort(of_groups.begin(), of_groups.end(),
            [](const GroupMatch& a, const GroupMatch& b) { return a.source < b.source; });
  for (size_t begin = 0, end = 0; begin < of_groups.size(); begin = end) {
    const CacheSource* const source = of_groups[begin].source;
    CachedPrefix least = of_groups[begin].has;
    for (; end < of_groups.size() && of_groups[end].source == source; ++end) {
      least.tokens = std::min(least.tokens, of_groups[end].has.tokens);
      least.gpu_tokens = std::min(least.gpu_tokens, of_groups[end].has.gpu_tokens);
    }
    if (end - begin == source->announced_groups()) {
      take_better(cached[index_of(source->endpoint)], least);
    }
  }
}

void CacheTracker::State::add_expected(PromptChains prompt, std::span<const EndpointId> endpoints,
                                       std::span<CachedPrefix> cached) const {
  const TimePoint latest{Duration(now.load(std::memory_order_relaxed))};
  for (const EndpointId id : endpoints) {
    CachedPrefix& has = cached[index_of(id)];
    if (!has.known || !expected.any(id)) continue;
    const ChainOfSize* chain = chain_of(prompt, sources, sources.endpoint(id).sizes);
    if (chain == nullptr) continue;
    const size_t first = has.tokens / chain->block_tokens;
    const size_t more = expected.count(id, *chain->chain, first, latest);
    if (more == 0) continue;
    const uint32_t tokens = static_cast<uint32_t>(first + more) * chain->block_tokens;
    if (has.gpu_tokens == has.tokens) has.gpu_tokens = tokens;
    has.tokens = tokens;
  }
}

void CacheTracker::expect(PromptChains prompt, EndpointId endpoint, TimePoint now,
                          Duration lifetime) {
  state_->set_time(now);
  const auto lock = state_->sources.read_lock();
  const CacheSources::EndpointState& state = state_->sources.endpoint(endpoint);
  const ChainOfSize* chain = chain_of(prompt, state_->sources, state.sizes);
  if (!state.usable || chain == nullptr) return;
  thread_local std::vector<CachedPrefix> cached;
  cached.assign(index_of(endpoint) + 1, {});
  state_->find_exact(prompt, {&endpoint, 1}, cached);
  const CachedPrefix& has = cached[index_of(endpoint)];
  if (!has.known) return;
  state_->expected.add(endpoint, *chain->chain, has.tokens / chain->block_tokens, now,
                       time_after(now, lifetime));
}

std::optional<CacheTracker::NamedBlocks> CacheTracker::find_named(
    EndpointId endpoint, std::span<const uint64_t> hashes) const {
  std::lock_guard writing(state_->writing);
  if (!state_->sources.endpoint(endpoint).usable) return std::nullopt;
  NamedBlocks best;
  for (const CacheSource* source : state_->sources.endpoint(endpoint).sources) {
    const auto has = [&](size_t block) {
      const auto in_group = [&](const CacheGroup& group) {
        if (!group.announced) return true;
        for (const CacheTier tier : {CacheTier::kGpu, CacheTier::kCpu, CacheTier::kStorage}) {
          if (state_->index->held(group.holder, tier, hashes.subspan(block, 1)) > 0) return true;
        }
        return false;
      };
      return source->announced_groups() > 0 &&
             std::all_of(source->groups.begin(), source->groups.end(), in_group);
    };
    NamedBlocks found;
    for (size_t block = 0; block < hashes.size(); ++block) {
      if (!has(block)) continue;
      ++found.present;
      if (found.leading == block) ++found.leading;
    }
    if (std::tie(found.leading, found.present) > std::tie(best.leading, best.present)) {
      best = found;
    }
  }
  return best;
}

void CacheTracker::visit(Visitor& visitor) const {
  class Named final : public BlockIndex::Visitor {
   public:
    Named(const CacheSources& sources, CacheTracker::Visitor& told)
        : sources_(sources), told_(told) {}
    void on_block(const BlockIndex::KnownBlock& block) override {
      const CacheSources::HolderState& holder = sources_.holder(block.holder);
      if (holder.source == nullptr) return;
      told_.on_block({holder.source->id, holder.source->endpoint, holder.source->rank, holder.group,
                      holder.block_tokens},
                     block);
    }

   private:
    const CacheSources& sources_;
    CacheTracker::Visitor& told_;
  };
  std::lock_guard writing(state_->writing);
  for (const KvSourceStatistics& source : statistics().sources) {
    visitor.on_source(source, state_->sources.find(source.source)->known_position());
  }
  Named named(state_->sources, visitor);
  state_->index->visit(named);
}

CacheTrackerStatistics CacheTracker::statistics() const {
  CacheTrackerStatistics all;
  all.distinct_blocks = state_->index->distinct_blocks();
  all.memberships = state_->index->memberships();
  all.memory_bytes = state_->index->memory_bytes();
  all.orphans = state_->orphans_waiting.load(std::memory_order_relaxed);
  all.orphan_bytes = state_->orphan_bytes.load(std::memory_order_relaxed);
  all.full = state_->applier.full();
  const auto lock = state_->sources.read_lock();
  all.stored = state_->stored_before;
  all.removed = state_->removed_before;
  all.cleared = state_->cleared_before;
  uint64_t blocks = 0;
  for (const auto& [id, source] : state_->sources.all()) {
    const CacheSourceCounters& counters = source->counters;
    KvSourceStatistics one;
    one.source = id;
    one.endpoint = source->endpoint;
    one.name = source->name;
    one.rank = source->rank;
    one.freshness = source->freshness;
    one.blocks = counters.blocks;
    if (!source->groups.empty()) one.block_tokens = source->groups.front().block_tokens;
    one.stored = counters.stored;
    one.removed = counters.removed;
    one.cleared = counters.cleared;
    one.batches = counters.batches;
    one.stored_events = counters.stored_events;
    one.removed_events = counters.removed_events;
    one.skipped = counters.skipped;
    one.partial = counters.partial;
    one.unknown_parent = counters.unknown_parent;
    one.unknown_blocks = counters.unknown_blocks;
    one.announced_again = counters.announced_again;
    one.refused = counters.refused;
    if (const double last = counters.last_event; last > 0) one.last_event = last;
    one.heard_at = TimePoint(Duration(counters.heard_at));
    all.stored += one.stored;
    all.removed += one.removed;
    all.cleared += one.cleared;
    blocks += one.blocks;
    all.sources.push_back(std::move(one));
  }
  // The index counts those of a cleared cache until it has tidied up.
  all.distinct_blocks = std::min(all.distinct_blocks, blocks);
  return all;
}

uint64_t CacheTracker::blocks_of(EndpointId endpoint) const {
  const auto lock = state_->sources.read_lock();
  uint64_t blocks = 0;
  for (const CacheSource* source : state_->sources.endpoint(endpoint).sources) {
    blocks += source->counters.blocks;
  }
  return blocks;
}

uint32_t CacheTracker::block_tokens_of(EndpointId endpoint) const {
  const auto lock = state_->sources.read_lock();
  for (const CacheSource* source : state_->sources.endpoint(endpoint).sources) {
    if (!source->groups.empty()) return source->groups.front().block_tokens;
  }
  return 0;
}

const BlockIndex& CacheTracker::index() const {
  return *state_->index;
}

// --- The writing thread --------------------------------------------------------------------------

std::optional<KvSourceId> CacheTracker::add_source(EndpointId endpoint, uint32_t rank,
                                                   std::string name) {
  std::lock_guard writing(state_->writing);
  const CacheSource* source = state_->sources.add(endpoint, rank, std::move(name));
  if (source == nullptr) return std::nullopt;
  return source->id;
}

void CacheTracker::remove_source(KvSourceId id) {
  std::lock_guard writing(state_->writing);
  CacheSource* const source = state_->sources.find(id);
  if (source == nullptr) return;
  state_->stored_before += source->counters.stored;
  state_->removed_before += source->counters.removed;
  state_->cleared_before += source->counters.cleared;
  state_->applier.remove(*source);
}

void CacheTracker::State::set_time(TimePoint time) {
  TimePoint::rep before = now.load(std::memory_order_relaxed);
  const TimePoint::rep latest = time.time_since_epoch().count();
  while (before < latest && !now.compare_exchange_weak(before, latest, std::memory_order_relaxed)) {
  }
}

void CacheTracker::State::heard(CacheSource& source, const KvBatchHead& head, TimePoint time) {
  source.counters.batches.fetch_add(1, std::memory_order_relaxed);
  if (head.timestamp > 0) {
    source.counters.last_event.store(head.timestamp, std::memory_order_relaxed);
  }
  source.counters.heard_at.store(time.time_since_epoch().count(), std::memory_order_relaxed);
  orphans_waiting.store(orphans.size(), std::memory_order_relaxed);
  orphan_bytes.store(orphans.bytes(), std::memory_order_relaxed);
  keep_within_blocks_max();
}

// An eighth more than that is let be, so that it is not looked for the oldest at every event.
void CacheTracker::State::keep_within_blocks_max() {
  const size_t most = options.blocks_max;
  if (most == 0 || index->distinct_blocks() <= most + most / 8) return;
  index->shrink(most);
  applier.recount();
}

Result<KvBatchApplied> CacheTracker::apply(KvSourceId id, std::string_view batch, TimePoint now) {
  std::lock_guard writing(state_->writing);
  CacheSource* const source = state_->sources.find(id);
  if (source == nullptr) return KvBatchApplied{};
  state_->set_time(now);
  state_->index->set_time(now);
  state_->applier.begin(*source, now);
  const Result<KvBatchHead> head = state_->decoder.decode(batch, state_->applier);
  state_->applier.end();
  state_->heard(*source, head ? *head : KvBatchHead{}, now);
  if (!head) return head.error();
  return KvBatchApplied{state_->applier.cleared(), source->announced_groups() > 0,
                        state_->applier.unusable()};
}

KvEventSink& CacheTracker::events_of(KvSourceId source, TimePoint now) {
  state_->sink.begin(source, now);
  return state_->sink;
}

template <class Apply>
void CacheTracker::State::LockedSink::with(Apply&& apply) {
  std::lock_guard writing(state_.writing);
  CacheSource* const source = state_.sources.find(source_);
  if (source == nullptr) return;
  state_.set_time(now_);
  state_.index->set_time(now_);
  state_.applier.begin(*source, now_);
  apply(state_.applier);
  state_.applier.end();
  state_.heard(*source, {}, now_);
}

void CacheTracker::State::LockedSink::on_stored(const KvBlocksStored& event) {
  with([&](CacheEventApplier& applier) { applier.on_stored(event); });
}
void CacheTracker::State::LockedSink::on_removed(const KvBlocksRemoved& event) {
  with([&](CacheEventApplier& applier) { applier.on_removed(event); });
}
void CacheTracker::State::LockedSink::on_all_cleared() {
  with([&](CacheEventApplier& applier) { applier.on_all_cleared(); });
}
void CacheTracker::State::LockedSink::on_skipped(std::string_view why) {
  with([&](CacheEventApplier& applier) { applier.on_skipped(why); });
}

std::optional<KvStreamPosition> CacheTracker::position(KvSourceId id) {
  std::lock_guard writing(state_->writing);
  const CacheSource* const source = state_->sources.find(id);
  return source == nullptr ? std::nullopt : source->known_position();
}

void CacheTracker::set_position(KvSourceId id, const std::optional<KvStreamPosition>& position) {
  std::lock_guard writing(state_->writing);
  CacheSource* const source = state_->sources.find(id);
  if (source != nullptr) source->position = position;
}

Result<RestoredSnapshot> CacheTracker::restore(std::string_view blocks,
                                               std::span<const RestoredHolder> holders) {
  std::lock_guard writing(state_->writing);
  std::map<std::string, HolderId, std::less<>> by_name;
  for (size_t i = 0; i < holders.size(); ++i) {
    CacheSource* const source =
        holders[i].source ? state_->sources.find(*holders[i].source) : nullptr;
    if (source == nullptr) continue;
    const std::optional<HolderId> holder =
        state_->applier.add_holder(*source, holders[i].group, holders[i].block_tokens);
    if (holder) by_name[std::to_string(i)] = *holder;
  }
  Result<RestoredSnapshot> restored =
      restore_snapshot(blocks, *state_->index, [&](std::string_view name) {
        const auto found = by_name.find(name);
        return found == by_name.end() ? std::nullopt : std::optional(found->second);
      });
  state_->applier.recount();
  if (restored && restored->refused > 0) {
    for (const auto& [id, source] : state_->sources.all()) state_->sources.lose_blocks(*source);
  }
  return restored;
}

CacheTracker::Snapshot CacheTracker::snapshot() const {
  std::lock_guard writing(state_->writing);
  Snapshot snapshot;
  std::vector<SnapshotHolder> holders;
  for (const auto& [id, source] : state_->sources.all()) {
    snapshot.sources.push_back({id, source->endpoint, source->rank, source->known_position()});
    std::optional<KvStreamPosition>& position = snapshot.sources.back().position;
    for (const CacheGroup& group : source->groups) {
      // What waits for its parent is no part of the snapshot.
      if (position && state_->orphans.has(group.holder)) position->complete = false;
      holders.push_back({group.holder, std::to_string(holders.size())});
      snapshot.holders.push_back(
          {id, source->endpoint, source->rank, group.number, group.block_tokens});
    }
  }
  snapshot.blocks = index_snapshot(*state_->index, holders);
  return snapshot;
}

std::vector<std::string> CacheTracker::adapters() const {
  const auto lock = state_->sources.read_lock();
  return state_->sources.adapters();
}

void CacheTracker::learn_adapter(std::string_view name) {
  std::lock_guard writing(state_->writing);
  state_->sources.add_adapter(name);
}

void CacheTracker::set_freshness(KvSourceId id, KvFreshness freshness) {
  std::lock_guard writing(state_->writing);
  CacheSource* const source = state_->sources.find(id);
  if (source == nullptr) return;
  source->told = freshness;
  state_->sources.update_freshness(*source);
}

void CacheTracker::clear(KvSourceId id) {
  std::lock_guard writing(state_->writing);
  CacheSource* const source = state_->sources.find(id);
  if (source == nullptr) return;
  source->position.reset();
  state_->applier.clear(*source);
}

void CacheTracker::clear_endpoint(EndpointId endpoint) {
  std::lock_guard writing(state_->writing);
  for (const auto& [id, source] : state_->sources.all()) {
    if (source->endpoint != endpoint) continue;
    source->position.reset();
    state_->applier.clear(*source);
  }
}

bool CacheTracker::tidy(TimePoint now) {
  std::lock_guard writing(state_->writing);
  state_->set_time(now);
  state_->orphans.expire(now);
  state_->orphans_waiting.store(state_->orphans.size(), std::memory_order_relaxed);
  state_->orphan_bytes.store(state_->orphans.bytes(), std::memory_order_relaxed);
  const CacheTrackerOptions& options = state_->options;
  if (time_after(state_->cleaned_at, options.cleanup_interval) <= now) {
    state_->cleaned_at = now;
    if (options.lifetime > Duration::zero()) state_->index->expire(now - options.lifetime);
    if (options.blocks_max > 0) state_->index->shrink(options.blocks_max);
    state_->applier.recount();
  }
  return state_->index->tidy();
}

}  // namespace kvasir
