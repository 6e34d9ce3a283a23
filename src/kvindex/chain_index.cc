#include "kvindex/chain_index.h"

#include <mutex>

#include "kvindex/naive_block_index_fixture.h"

namespace kvasir {

class ChainIndex::State {
 public:
  explicit State(const BlockIndexOptions& options) : index(options) {}
  std::mutex mutex;
  NaiveBlockIndex index;
};

ChainIndex::ChainIndex(const BlockIndexOptions& options)
    : state_(std::make_unique<State>(options)) {}
ChainIndex::~ChainIndex() = default;

void ChainIndex::match(BlockChain& prompt, std::vector<HolderMatch>& matches) const {
  const std::lock_guard lock(state_->mutex);
  state_->index.match(prompt, matches);
}
size_t ChainIndex::distinct_blocks() const {
  const std::lock_guard lock(state_->mutex);
  return state_->index.distinct_blocks();
}
size_t ChainIndex::memberships() const {
  const std::lock_guard lock(state_->mutex);
  return state_->index.memberships();
}
size_t ChainIndex::memory_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->index.memory_bytes();
}
std::optional<HolderId> ChainIndex::add_holder() {
  const std::lock_guard lock(state_->mutex);
  return state_->index.add_holder();
}
void ChainIndex::remove_holder(HolderId holder) {
  const std::lock_guard lock(state_->mutex);
  state_->index.remove_holder(holder);
}
StoreOutcome ChainIndex::store(const StoredBlocks& stored) {
  const std::lock_guard lock(state_->mutex);
  return state_->index.store(stored);
}
size_t ChainIndex::attach(HolderId holder, CacheTier tier, std::span<const uint64_t> names) {
  const std::lock_guard lock(state_->mutex);
  return state_->index.attach(holder, tier, names);
}
size_t ChainIndex::remove(HolderId holder, CacheTier tier, std::span<const uint64_t> names) {
  const std::lock_guard lock(state_->mutex);
  return state_->index.remove(holder, tier, names);
}
void ChainIndex::clear(HolderId holder) {
  const std::lock_guard lock(state_->mutex);
  state_->index.clear(holder);
}
size_t ChainIndex::blocks_of(HolderId holder) const {
  const std::lock_guard lock(state_->mutex);
  return state_->index.blocks_of(holder);
}
size_t ChainIndex::held(HolderId holder, CacheTier tier,
                        std::span<const uint64_t> engine_hashes) const {
  const std::lock_guard lock(state_->mutex);
  return state_->index.held(holder, tier, engine_hashes);
}
bool ChainIndex::tidy() {
  return false;
}
size_t ChainIndex::expire(TimePoint stored_before) {
  const std::lock_guard lock(state_->mutex);
  return state_->index.expire(stored_before);
}
void ChainIndex::shrink(size_t distinct_blocks) {
  const std::lock_guard lock(state_->mutex);
  state_->index.shrink(distinct_blocks);
}
void ChainIndex::set_time(TimePoint now) {
  state_->index.set_time(now);
}
void ChainIndex::visit(Visitor& visitor) const {
  const std::lock_guard lock(state_->mutex);
  state_->index.visit(visitor);
}
StoreOutcome ChainIndex::restore(const KnownBlock& block) {
  const std::lock_guard lock(state_->mutex);
  return state_->index.restore(block);
}

}  // namespace kvasir
