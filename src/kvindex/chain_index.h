// The exact index of KV blocks that Kvasir runs with.
#pragma once

#include <memory>
#include <vector>

#include "kvindex/block_index.h"

namespace kvasir {

class ChainIndex final : public BlockIndex {
 public:
  explicit ChainIndex(const BlockIndexOptions& options);
  ~ChainIndex() override;

  void match(BlockChain& prompt, std::vector<HolderMatch>& matches) const override;
  size_t distinct_blocks() const override;
  size_t memberships() const override;
  size_t memory_bytes() const override;

  std::optional<HolderId> add_holder() override;
  void remove_holder(HolderId holder) override;
  StoreOutcome store(const StoredBlocks& stored) override;
  size_t attach(HolderId holder, CacheTier tier, std::span<const uint64_t> engine_hashes) override;
  size_t remove(HolderId holder, CacheTier tier, std::span<const uint64_t> engine_hashes) override;
  void clear(HolderId holder) override;
  size_t blocks_of(HolderId holder) const override;
  size_t held(HolderId holder, CacheTier tier,
              std::span<const uint64_t> engine_hashes) const override;
  bool tidy() override;
  size_t expire(TimePoint stored_before) override;
  void shrink(size_t distinct_blocks) override;
  void set_time(TimePoint now) override;
  void visit(Visitor& visitor) const override;
  StoreOutcome restore(const KnownBlock& block) override;

 private:
  class State;
  const std::unique_ptr<State> state_;
};

}  // namespace kvasir
