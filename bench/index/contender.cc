#include "index/contender.h"

#include <utility>

#include "kvindex/chain_index.h"
#include "kvindex/naive_block_index_fixture.h"

namespace kvasir {
namespace {

class BlockIndexContender final : public IndexContender {
 public:
  explicit BlockIndexContender(std::unique_ptr<BlockIndex> index) : index_(std::move(index)) {}

  HolderId add_holder() override { return *index_->add_holder(); }
  void store(const StoredBlocks& stored) override { index_->store(stored); }
  void remove(HolderId holder, std::span<const uint64_t> engine_hashes) override {
    index_->remove(holder, CacheTier::kGpu, engine_hashes);
  }
  void clear(HolderId holder) override { index_->clear(holder); }
  bool tidy() override { return index_->tidy(); }
  void match(BlockChain& prompt, std::vector<HolderMatch>& matches) const override {
    index_->match(prompt, matches);
  }

 private:
  const std::unique_ptr<BlockIndex> index_;
};

}  // namespace

std::unique_ptr<IndexContender> wrap_block_index(std::unique_ptr<BlockIndex> index) {
  return std::make_unique<BlockIndexContender>(std::move(index));
}

std::unique_ptr<IndexContender> make_oracle(size_t holders) {
  BlockIndexOptions options;
  options.holders_max = holders;
  return wrap_block_index(std::make_unique<NaiveBlockIndex>(options));
}

std::unique_ptr<BlockIndex> make_product(const BlockIndexOptions& options) {
  return std::make_unique<ChainIndex>(options);
}

std::vector<ContenderKind> contender_kinds() {
  return {
      {"Kvasir", "runs of blocks, a dictionary that all share",
       [](size_t holders) {
         BlockIndexOptions options;
         options.holders_max = holders;
         return wrap_block_index(make_product(options));
       }},
      {"flat table", "chained-hash table, interned holder sets",
       [](size_t holders) { return make_flat_table_contender(holders, false); }},
      {"radix tree", "concurrent, one node for each block; re-implemented",
       [](size_t holders) { return make_radix_tree_contender(holders); }},
      {"naive map", "std::unordered_map of std::unordered_set",
       [](size_t holders) { return make_naive_map_contender(holders); }},
      {"flat, galloping", "flat table that skips where holders seem equal",
       [](size_t holders) { return make_flat_table_contender(holders, true); }},
  };
}

}  // namespace kvasir
