// The bytes of an engine's KV blocks, for engines whose transfers are to be checked: what a block
// holds is a function of its BlockHash (its tokens, everything before them, the salt), so whoever
// has the right block has the right bytes, and nobody else.
//
// Layout: block after block; a block is `layers` slices of equal size, one after another. Values
// are IEEE half-precision numbers, all finite (2^-7 <= |v| < 2), so that compressing them means
// something. A real engine's block is `scale` times as large (KvLayout::of()).
//
// The engine's thread writes a block when it is full. Blocks that are kept or awaited
// (Engine::kept(), Engine::take_wanted()) are nobody else's: other threads may read, or write,
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "model/block_hash.h"

namespace kvasir {

struct EngineProfile;

struct KvLayout {
  uint32_t block_size = 16;        // tokens
  uint32_t layers = 4;             // slices of a block
  uint32_t bytes_per_token = 256;  // all layers; block_bytes() is a multiple of 2 * layers
  uint32_t scale = 1024;           // a real token's KV is so many times larger

  // Of a profile: its kv_bytes_per_token / scale, rounded up to what the layers need. A profile
  // that says no bytes counts as 262,144 a token (Qwen3-32B in bf16). Precondition: scale > 0.
  static KvLayout of(const EngineProfile& profile, uint32_t scale = 1024);

  size_t block_bytes() const { return size_t{block_size} * bytes_per_token; }
  size_t slice_bytes() const { return block_bytes() / layers; }
};

class KvMemory {
 public:
  // Zeroes. `shared_name` ("/kvasir-..."): in shared memory of that name, which other processes of
  // this machine map (shm_open) until the object goes; empty: of this process alone. What processes
  // that were killed have left behind under names that begin like that is removed.
  static Result<KvMemory> create(uint32_t blocks, const KvLayout& layout,
                                 const std::string& shared_name = {});
  ~KvMemory();
  KvMemory(KvMemory&& other) noexcept;
  KvMemory& operator=(KvMemory&& other) noexcept;

  uint32_t blocks() const { return blocks_; }
  const KvLayout& layout() const { return layout_; }
  const std::string& shared_name() const { return shared_name_; }
  std::span<std::byte> block(uint32_t block) {
    return {begin_ + block * block_bytes_, block_bytes_};
  }
  std::span<const std::byte> block(uint32_t block) const {
    return {begin_ + block * block_bytes_, block_bytes_};
  }

 private:
  KvMemory(uint32_t blocks, const KvLayout& layout);

  std::byte* begin_ = nullptr;
  size_t block_bytes_ = 0;
  uint32_t blocks_ = 0;
  KvLayout layout_;
  std::string shared_name_;
  int shared_ = -1;  // the shared memory's descriptor: its lock says that somebody uses it
};

// What a full block holds.
void fill_kv_block(BlockHash hash, std::span<std::byte> block);
// Of the bytes of one block, whoever wrote them. Blocks that differ in one 8-byte word differ in
// it.
uint64_t kv_block_digest(std::span<const std::byte> block);

}  // namespace kvasir
