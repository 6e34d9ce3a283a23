#include <algorithm>

#include "hashing/token_blocks.h"
#include "kvevents/cache_tracker_state.h"

namespace kvasir {
namespace {

CacheTier tier_of(KvMedium medium) {
  switch (medium) {
    case KvMedium::kGpu:
      return CacheTier::kGpu;
    case KvMedium::kCpu:
      return CacheTier::kCpu;
    case KvMedium::kStorage:
    case KvMedium::kOther:  // of whatever speed: the slowest is the safe guess
      break;
  }
  return CacheTier::kStorage;
}

}  // namespace

CacheEventApplier::CacheEventApplier(const CacheTrackerOptions& options, BlockIndex& index,
                                     CacheSources& sources, OrphanBuffer& orphans,
                                     ExpectedPrefixes& expected)
    : options_(options), index_(index), sources_(sources), orphans_(orphans), expected_(expected) {}

void CacheEventApplier::begin(CacheSource& source, TimePoint now) {
  source_ = &source;
  now_ = now;
  cleared_ = false;
  unusable_.clear();
}

void CacheEventApplier::end() {
  count_blocks(*source_);
  if (!unusable_.empty() && source_->announced_groups() > 0) unusable_.clear();
  source_ = nullptr;
}

void CacheEventApplier::skip(std::string_view why) {
  count(source_->counters.skipped);
  unusable_ = why;
}

void CacheEventApplier::count_blocks(CacheSource& source) {
  uint64_t blocks = 0;
  for (const CacheGroup& group : source.groups) blocks += index_.blocks_of(group.holder);
  source.counters.blocks.store(blocks, std::memory_order_relaxed);
}

void CacheEventApplier::recount() {
  for (const auto& [id, source] : sources_.all()) {
    const uint64_t before = source->counters.blocks.load(std::memory_order_relaxed);
    count_blocks(*source);
    if (source->counters.blocks.load(std::memory_order_relaxed) < before) {
      sources_.lose_blocks(*source);
    }
  }
}

void CacheEventApplier::on_stored(const KvBlocksStored& event) {
  count(source_->counters.stored_events);
  if (event.spec != KvSpecKind::kFull) {
    unusable_ =
        "its blocks are of sliding windows or states, which do not say what of a prefix is "
        "there";
    return count(source_->counters.partial);
  }
  if (event.block_hashes.empty()) return;
  count(source_->counters.stored, event.block_hashes.size());
  if (!event.lora_name.empty() && !sources_.add_adapter(event.lora_name)) {
    return skip_stored("there are too many adapters");
  }
  const bool has_tokens = !event.token_ids.empty();
  if (has_tokens && (event.block_size == 0 ||
                     event.token_ids.size() / event.block_hashes.size() < event.block_size)) {
    return skip_stored("its tokens are not those of its blocks");
  }
  CacheGroup* group =
      group_for(event.group, has_tokens ? event.block_size : 0, event.medium == KvMedium::kGpu);
  if (group == nullptr) {
    return skip_stored("there is no place for blocks of its size, or of its group");
  }
  StoredBlocks blocks;
  blocks.holder = group->holder;
  blocks.tier = tier_of(event.medium);
  blocks.engine_hashes = event.block_hashes;
  if (!has_room(*source_, event.block_hashes.size())) return;
  if (!has_tokens) {
    const size_t known = index_.attach(blocks.holder, blocks.tier, blocks.engine_hashes);
    if (known < blocks.engine_hashes.size()) sources_.lose_blocks(*source_);
    return count(source_->counters.unknown_blocks, blocks.engine_hashes.size() - known);
  }
  blocks.parent = event.parent_block_hash;
  if (!blocks.parent) blocks.root = token_root(event.lora_name, event.cache_salt);
  contents_.clear();
  for (size_t i = 0; i < event.block_hashes.size(); ++i) {
    const uint64_t extra = i < event.extras.size() ? event.extras[i] : 0;
    contents_.push_back(
        block_content(event.token_ids.subspan(i * event.block_size, event.block_size), extra));
  }
  blocks.contents = contents_;
  if (blocks.tier != CacheTier::kGpu) attach_held(blocks);
  if (!blocks.engine_hashes.empty()) store(blocks);
}

// What the GPU's cache has under the same names is where the GPU's own events said. Connectors that
// offload name as parent only what they have offloaded themselves, or nothing.
void CacheEventApplier::attach_held(StoredBlocks& blocks) {
  size_t held = 0;
  const auto on_gpu = [&](size_t block) {
    return index_.held(blocks.holder, CacheTier::kGpu, blocks.engine_hashes.subspan(block, 1)) > 0;
  };
  while (held < blocks.engine_hashes.size() && on_gpu(held)) ++held;
  if (held == 0) return;
  index_.attach(blocks.holder, blocks.tier, blocks.engine_hashes.first(held));
  blocks.parent = blocks.engine_hashes[held - 1];
  blocks.engine_hashes = blocks.engine_hashes.subspan(held);
  blocks.contents = blocks.contents.subspan(held);
}

// The group's holder; made when it is new. Null: there is no place for it, or its blocks are of
// another size than those that it has. Whoever offloads may do so in blocks of another size; then
// the GPU's size counts, and what is held of the other's is forgotten.
CacheGroup* CacheEventApplier::group_for(uint32_t number, uint32_t block_tokens, bool gpu) {
  std::vector<CacheGroup>& groups = source_->groups;
  auto found = std::find_if(groups.begin(), groups.end(),
                            [&](const CacheGroup& group) { return group.number == number; });
  if (block_tokens == 0) return found == groups.end() ? nullptr : &*found;
  if (found == groups.end()) {  // one that a clear has left takes its place
    found = std::find_if(groups.begin(), groups.end(),
                         [](const CacheGroup& group) { return !group.announced; });
  }
  if (found != groups.end()) {
    if (found->announced && found->block_tokens == block_tokens) {
      found->sized_by_gpu |= gpu;
      return &*found;
    }
    if (found->block_tokens != block_tokens) {
      if (!sources_.can_have_size(block_tokens)) return nullptr;
      if (index_.blocks_of(found->holder) > 0) {
        if (found->sized_by_gpu || !gpu) return nullptr;
        index_.clear(found->holder);
        sources_.lose_blocks(*source_);
      }
    }
    orphans_.forget(found->holder);
    sources_.announce(*source_, *found, number, block_tokens);
    found->sized_by_gpu = gpu;
    return &*found;
  }
  if (groups.size() >= options_.groups_max || !sources_.can_have_size(block_tokens)) return nullptr;
  const std::optional<HolderId> holder = index_.add_holder();
  if (!holder) return nullptr;
  sources_.add_group(
      *source_,
      {.number = number, .holder = *holder, .block_tokens = block_tokens, .sized_by_gpu = gpu});
  return &groups.back();
}

bool CacheEventApplier::has_room(CacheSource& source, size_t blocks) {
  uint64_t held = 0;
  for (const CacheGroup& group : source.groups) held += index_.blocks_of(group.holder);
  if (held + blocks <= options_.source_blocks_max) return true;
  count(source.counters.refused, blocks);
  source.overflowed = true;
  sources_.update_freshness(source);
  return false;
}

void CacheEventApplier::skip_stored(std::string_view why) {
  skip(why);
  sources_.lose_blocks(*source_);
}

void CacheEventApplier::note_full(CacheSource& source) {
  full_.fetch_add(1, std::memory_order_relaxed);
  sources_.lose_blocks(source);
}

void CacheEventApplier::lose_orphan(CacheSource& source) {
  count(source.counters.unknown_parent);
  sources_.lose_blocks(source);
}

void CacheEventApplier::store(const StoredBlocks& blocks) {
  if (!blocks.parent && options_.index.count_copies && options_.find_announced_again &&
      was_announced(blocks)) {
    return;
  }
  switch (index_.store(blocks)) {
    case StoreOutcome::kStored:
      break;
    case StoreOutcome::kFull:
      note_full(*source_);
      break;
    case StoreOutcome::kUnknownParent:
      orphans_.add({blocks.holder,
                    blocks.tier,
                    *blocks.parent,
                    {blocks.engine_hashes.begin(), blocks.engine_hashes.end()},
                    {blocks.contents.begin(), blocks.contents.end()}},
                   now_);
      return;
  }
  adopt(blocks.engine_hashes);
}

// Whether a sequence's beginning is one that the engine has already, and says so again; then
// whatever of it is missing here was stored.
bool CacheEventApplier::was_announced(const StoredBlocks& blocks) {
  const std::span<const uint64_t> hashes = blocks.engine_hashes;
  if (!source_->announces_again) {
    // Most often the last one is new, and nothing else need be looked at.
    if (hashes.size() < 2 || index_.held(blocks.holder, blocks.tier, hashes.last(1)) == 0) {
      return false;
    }
    if (index_.held(blocks.holder, blocks.tier, hashes) < hashes.size()) return false;
    source_->announces_again = true;
  }
  store_missing(blocks);
  return true;
}

void CacheEventApplier::store_missing(const StoredBlocks& blocks) {
  const std::span<const uint64_t> hashes = blocks.engine_hashes;
  size_t begin = 0;
  const auto is_held = [&](size_t block) {
    return index_.held(blocks.holder, blocks.tier, hashes.subspan(block, 1)) > 0;
  };
  while (begin < hashes.size()) {
    if (is_held(begin)) {
      count(source_->counters.announced_again);
      ++begin;
      continue;
    }
    size_t end = begin + 1;
    while (end < hashes.size() && !is_held(end)) ++end;
    StoredBlocks missing = blocks;
    if (begin > 0) missing.parent = hashes[begin - 1];
    missing.engine_hashes = hashes.subspan(begin, end - begin);
    missing.contents = blocks.contents.subspan(begin, end - begin);
    if (index_.store(missing) == StoreOutcome::kFull) note_full(*source_);
    adopt(missing.engine_hashes);
    begin = end;
  }
}

// Stores what waited for these blocks, and what waited for that.
void CacheEventApplier::adopt(std::span<const uint64_t> engine_hashes) {
  if (orphans_.empty()) return;
  std::vector<uint64_t> parents(engine_hashes.begin(), engine_hashes.end());
  while (!parents.empty() && !orphans_.empty()) {
    const uint64_t parent = parents.back();
    parents.pop_back();
    for (OrphanBlocks& orphan : orphans_.take(parent)) adopt_one(std::move(orphan), parents);
  }
}

void CacheEventApplier::adopt_one(OrphanBlocks orphan, std::vector<uint64_t>& parents) {
  CacheSource* const source = sources_.holder(orphan.holder).source;
  if (source == nullptr || !has_room(*source, orphan.engine_hashes.size())) return;
  StoredBlocks blocks;
  blocks.holder = orphan.holder;
  blocks.tier = orphan.tier;
  blocks.parent = orphan.parent;
  blocks.engine_hashes = orphan.engine_hashes;
  blocks.contents = orphan.contents;
  switch (index_.store(blocks)) {
    case StoreOutcome::kStored:
      break;
    case StoreOutcome::kFull:
      note_full(*source);
      break;
    case StoreOutcome::kUnknownParent:
      return lose_orphan(*source);
  }
  index_.remove(orphan.holder, orphan.tier, orphan.removed);
  if (source != source_) count_blocks(*source);
  parents.insert(parents.end(), orphan.engine_hashes.begin(), orphan.engine_hashes.end());
}

void CacheEventApplier::on_removed(const KvBlocksRemoved& event) {
  count(source_->counters.removed_events);
  const auto group =
      std::find_if(source_->groups.begin(), source_->groups.end(),
                   [&](const CacheGroup& each) { return each.number == event.group; });
  if (group == source_->groups.end()) return;  // of a group that does not count, or never had any
  count(source_->counters.removed, event.block_hashes.size());
  const CacheTier tier = tier_of(event.medium);
  if (orphans_.empty()) {
    index_.remove(group->holder, tier, event.block_hashes);
    return;
  }
  for (const uint64_t& hash : event.block_hashes) {
    if (index_.remove(group->holder, tier, {&hash, 1}) == 0) {
      orphans_.remove(group->holder, tier, hash);
    }
  }
}

void CacheEventApplier::on_all_cleared() {
  cleared_ = true;
  unusable_.clear();
  clear(*source_);
}

void CacheEventApplier::on_skipped(std::string_view why) {
  skip(why);
}

void CacheEventApplier::clear(CacheSource& source) {
  for (const CacheGroup& group : source.groups) {
    index_.clear(group.holder);
    orphans_.forget(group.holder);
  }
  sources_.doubt_groups(source);
  expected_.forget(source.endpoint);
  source.announces_again = false;
  source.overflowed = source.lacks_blocks = false;
  count(source.counters.cleared);
  source.counters.blocks.store(0, std::memory_order_relaxed);
  sources_.update_freshness(source);
}

void CacheEventApplier::remove(CacheSource& source) {
  for (const CacheGroup& group : source.groups) orphans_.forget(group.holder);
  expected_.forget(source.endpoint);
  sources_.remove(source, [this](HolderId holder) { index_.remove_holder(holder); });
}

std::optional<HolderId> CacheEventApplier::add_holder(CacheSource& source, uint32_t group,
                                                      uint32_t block_tokens) {
  if (block_tokens == 0) return std::nullopt;
  source_ = &source;
  const CacheGroup* const added = group_for(group, block_tokens, false);
  source_ = nullptr;
  return added == nullptr ? std::nullopt : std::optional(added->holder);
}

}  // namespace kvasir
