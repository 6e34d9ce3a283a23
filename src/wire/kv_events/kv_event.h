// Events by which an engine tells what its KV cache holds, as values. How they stand on the wire:
// kv_event_decoder.h, kv_event_json.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace kvasir {

// Where the blocks are. "GPU" or nothing; "CPU", "CPU_TIER1", "CPU_TIER2", ...; "SHARED_STORAGE",
// "DISK", ...: upper or lower case.
enum class KvMedium : uint8_t { kGpu, kCpu, kStorage, kOther };
KvMedium kv_medium(std::string_view name);
// One of the names that kv_medium() reads as `medium`.
std::string_view kv_medium_name(KvMedium medium);

// Which kind of attention reads the blocks (kv_cache_spec_kind). Only a cache that keeps every
// block of a prefix tells by its blocks whether the prefix can be used.
enum class KvSpecKind : uint8_t {
  kFull,    // full_attention, mla_attention, sink_full_attention; or nothing
  kPartial  // sliding windows, state space models, ...
};
KvSpecKind kv_spec_kind(std::string_view name);

// Blocks that follow each other in one sequence. Everything is valid during the call only.
struct KvBlocksStored {
  // The engine's names. 64 bits: an integer as it is, signed or not; of a digest the last eight
  // bytes, big-endian, as vLLM itself shortens it.
  std::span<const uint64_t> block_hashes = {};
  std::optional<uint64_t> parent_block_hash = {};  // of the block before the first
  // Of all blocks, one after the other; empty when the engine does not say. Else
  // block_hashes.size() times block_size of them.
  std::span<const uint32_t> token_ids = {};
  uint32_t block_size = 0;
  KvMedium medium = KvMedium::kGpu;
  std::string_view lora_name = {};   // empty: the base model
  std::string_view cache_salt = {};  // empty: none, or a block before these has it
  // Of each block, what else is in it (images): its extra keys without adapter and salt, hashed; 0:
  // nothing. Empty: nothing in any.
  std::span<const uint64_t> extras = {};
  uint32_t group = 0;  // of the engine's KV cache groups
  KvSpecKind spec = KvSpecKind::kFull;
};

struct KvBlocksRemoved {
  std::span<const uint64_t> block_hashes = {};
  KvMedium medium = KvMedium::kGpu;
  uint32_t group = 0;
};

// Told of the events of one batch, in order.
class KvEventSink {
 public:
  virtual ~KvEventSink() = default;
  virtual void on_stored(const KvBlocksStored& event) = 0;
  virtual void on_removed(const KvBlocksRemoved& event) = 0;
  virtual void on_all_cleared() = 0;
  // An event of a type that is not known, or one that cannot be used: which says why. The others of
  // the batch still come.
  virtual void on_skipped(std::string_view why) = 0;
};

struct KvBatchHead {
  double timestamp = 0;                        // seconds since 1970, of the engine's clock
  std::optional<uint32_t> data_parallel_rank;  // when the engine says it
};

}  // namespace kvasir
