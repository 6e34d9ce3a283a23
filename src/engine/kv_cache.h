// Which blocks each sequence holds: admission with prefix hits, growth, release. The rules are
// those of vLLM V1 (v1/core/kv_cache_manager.py): blocks become findable in the step that fills
// them, and at least the last token of a sequence is always computed.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/block_pool.h"
#include "engine/sequence.h"

namespace kvasir {

class KvCache {
 public:
  KvCache(uint32_t blocks, uint32_t block_size, bool prefix_caching);

  const BlockPool& pool() const { return pool_; }

  // Hashes the prompt of a new sequence.
  void start(Sequence& sequence, const std::vector<TokenId>& prompt, uint64_t salt) const;
  // Notes the token that the answer has grown by; hashes the block it fills.
  void append(Sequence& sequence, TokenId token) const;

  // Gives a sequence without blocks the cached ones of its prefix and new ones for up to `budget`
  // of the tokens that follow; sets `computed` and `scheduled`. False, and nothing changes, when
  // too few are free.
  bool admit(Sequence& sequence, uint32_t budget);

  // Blocks for the next `tokens` tokens; sets `scheduled`. False, and nothing changes, when too few
  // are free.
  bool grow(Sequence& sequence, uint32_t tokens);

  // Takes all blocks from the sequence, which keeps its tokens.
  void release(Sequence& sequence);

  // False when a block is in use: then nothing is forgotten.
  bool forget_prefixes();

 private:
  void find_prefix(const Sequence& sequence);
  void name_full_blocks(Sequence& sequence, uint32_t tokens);

  const uint32_t block_size_;
  const bool prefix_caching_;
  BlockPool pool_;
  std::vector<uint32_t> prefix_;  // what find_prefix() found
};

}  // namespace kvasir
