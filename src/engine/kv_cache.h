// Which blocks each sequence holds: admission with prefix hits, growth, release. The rules are
// those of vLLM V1 (v1/core/kv_cache_manager.py): blocks become findable in the step that fills
// them, and at least the last token of a sequence is always computed.
//
// Blocks that the GPU's cache gives up go to the CPU tier, when there is one; a prefix that is
// found there is loaded into new blocks of the GPU. With memory the bytes go the same ways: a block
// is filled when its tokens are computed and copied when it changes tiers.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/block_pool.h"
#include "engine/cpu_tier.h"
#include "engine/kv_memory.h"
#include "engine/sequence.h"
#include "wire/kv_events/kv_event.h"

namespace kvasir {

struct KvCacheOptions {
  uint32_t blocks = 0;
  uint32_t block_size = 16;
  bool prefix_caching = true;
  uint32_t cpu_blocks = 0;
  KvEventSink* events = nullptr;     // null: nobody listens
  std::shared_ptr<KvMemory> memory;  // null: blocks have no bytes
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
  // of the tokens that follow; sets `computed`, `loaded` and `scheduled`. What has blocks keeps
  // them. False, and nothing changes, when too few are free.
  bool admit(Sequence& sequence, uint32_t budget);

  // Gives a sequence whose remote blocks are kWanted the cached ones of its prefix and room for the
  // remote ones that are not cached: it is kAwaited then. When all are cached, it gets nothing.
  // False, and nothing changes, when too few are free.
  bool make_room(Sequence& sequence);
  // kAwaited becomes kArriving: what follows the remote blocks may be computed.
  void arriving(Sequence& sequence) const;
  // The first `count` of these hold what they should: they are findable from now on.
  void arrived(Sequence& sequence, uint32_t count);

  // Blocks for the next `tokens` tokens; sets `scheduled`. False, and nothing changes, when too few
  // are free.
  bool grow(Sequence& sequence, uint32_t tokens);

  // Takes all blocks from the sequence, which keeps its tokens.
  void release(Sequence& sequence);

  // Takes the full blocks of the prompt from the sequence: they stay in use.
  KeptBlocks keep(Sequence& sequence) const;
  void release(const KeptBlocks& kept);

  // With memory. Reads the full blocks of `computed` that have not been folded yet.
  void fold(Sequence& sequence) const;
  // The state of a sequence of which all full blocks are folded; reads one of them again, another
  // for each token.
  uint64_t read_state(const Sequence& sequence) const;

  // False when a block is in use: then nothing is forgotten.
  bool forget_prefixes();

 private:
  void find_prefix(const Sequence& sequence);
  bool room_for(uint32_t others) const;
  void hold_prefix(Sequence& sequence);
  void load_from_cpu(Sequence& sequence);
  uint32_t take_block();
  void on_evicted(BlockHash hash, uint32_t block);
  void keep_on_cpu(BlockHash hash, uint32_t block);
  void name_full_blocks(Sequence& sequence, uint32_t tokens);
  void tell_stored(const Sequence& sequence, uint32_t first, uint32_t end);
  void tell_kept_on_cpu(BlockHash hash);
  void tell_removed(BlockHash hash, KvMedium medium);

  const KvCacheOptions options_;
  const bool hashes_;  // for the prefix cache, or for the bytes
  const uint32_t block_size_;
  BlockPool pool_;
  CpuTier cpu_;
  // What find_prefix() found; kNoBlock: it is in the CPU tier.
  std::vector<uint32_t> prefix_;
  uint32_t prefix_on_cpu_ = 0;       // so many of them are there
  std::vector<std::byte> from_cpu_;  // their bytes
};

}  // namespace kvasir
