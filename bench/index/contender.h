// What the benchmark asks of an index: the part of BlockIndex that events and lookups use, for one
// tier. So that the same driver and the same check of exactness run them all.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kvindex/block_index.h"

namespace kvasir {

class IndexContender {
 public:
  virtual ~IndexContender() = default;

  // --- One thread ---
  virtual HolderId add_holder() = 0;
  virtual void store(const StoredBlocks& stored) = 0;
  virtual void remove(HolderId holder, std::span<const uint64_t> engine_hashes) = 0;
  virtual void clear(HolderId holder) = 0;
  // Does a piece of what was put off. False: nothing is left.
  virtual bool tidy() = 0;

  // --- Any thread, meanwhile ---
  // As BlockIndex::match(), without tiers.
  virtual void match(BlockChain& prompt, std::vector<HolderMatch>& matches) const = 0;
};

struct ContenderKind {
  std::string name;
  std::string what;  // in a few words, for the table
  std::function<std::unique_ptr<IndexContender>(size_t holders)> make;
};

// All of them; the product comes first.
std::vector<ContenderKind> contender_kinds();

// Kvasir's own, through the interface that its other callers use.
std::unique_ptr<IndexContender> wrap_block_index(std::unique_ptr<BlockIndex> index);

// The product.
std::unique_ptr<BlockIndex> make_product(const BlockIndexOptions& options);

// What all are held against.
std::unique_ptr<IndexContender> make_oracle(size_t holders);

std::unique_ptr<IndexContender> make_naive_map_contender(size_t holders);
// `gallop`: looks only at blocks where the set of holders may change if holdings have no holes.
// Fast, and wrong when they have.
std::unique_ptr<IndexContender> make_flat_table_contender(size_t holders, bool gallop);
std::unique_ptr<IndexContender> make_radix_tree_contender(size_t holders);

}  // namespace kvasir
