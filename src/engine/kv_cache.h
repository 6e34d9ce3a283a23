// Which blocks each sequence holds: admission with prefix hits, growth, release. The rules are
// those of vLLM V1 (v1/core/kv_cache_manager.py): blocks become findable in the step that fills
// them, and at least the last token of a sequence is always computed.
//
// Blocks that the GPU's cache gives up go to the CPU tier, when there is one; a prefix that is
// found there is loaded into new blocks of the GPU.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/block_pool.h"
#include "engine/cpu_tier.h"
#include "engine/sequence.h"
#include "wire/kv_events/kv_event.h"

namespace kvasir {

struct KvCacheOptions {
  uint32_t blocks = 0;
  uint32_t block_size = 16;
  bool prefix_caching = true;
  uint32_t cpu_blocks = 0;
  KvEventSink* events = nullptr;  // null: nobody listens
};

class KvCache {
 public:
  explicit KvCache(const KvCacheOptions& options);

  const BlockPool& pool() const { return pool_; }
  const CpuTier& cpu_tier() const { return cpu_; }

  // Hashes the prompt of a new sequence; keeps it only when somebody listens.
  void start(Sequence& sequence, std::vector<TokenId> prompt, uint64_t salt) const;
  // Notes the token that the answer has grown by; hashes the block it fills.
  void append(Sequence& sequence, TokenId token) const;

  // Gives a sequence without blocks the cached ones of its prefix and new ones for up to `budget`
  // of the tokens that follow; sets `computed`, `loaded` and `scheduled`. False, and nothing
  // changes, when too few are free.
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
  void hold_prefix(Sequence& sequence);
  uint32_t take_block();
  void on_evicted(BlockHash hash);
  void keep_on_cpu(BlockHash hash);
  void name_full_blocks(Sequence& sequence, uint32_t tokens);
  void tell_stored(const Sequence& sequence, uint32_t first, uint32_t end);
  void tell_kept_on_cpu(BlockHash hash);
  void tell_removed(BlockHash hash, KvMedium medium);

  const KvCacheOptions options_;
  const uint32_t block_size_;
  BlockPool pool_;
  CpuTier cpu_;
  // What find_prefix() found; kNoBlock: it is in the CPU tier.
  std::vector<uint32_t> prefix_;
  uint32_t prefix_on_cpu_ = 0;  // so many of them are there
};

}  // namespace kvasir
