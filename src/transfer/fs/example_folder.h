// The folders of vLLM's ExampleConnector (0.32.0; SharedStorageConnector before), readable and
// writable:
//
//   <path>/<MD5 of the token ids as 64-bit integers>/model.layers.<N>.self_attn.attn.safetensors
//
// one for each prompt, of its first align(n) = (n - 1) / block_size * block_size tokens, with one
// tensor "kv_cache" of [tokens, 1, values] in each file.
//
// What we write says in its metadata, which vLLM does not read, whose bytes they are and their
// checksum; it appears under its name when it is whole and on the disk. What others wrote is used
// when type, shape and number of layers fit, and left alone when not.
//
// The name knows neither model nor salt, and the format no limit: that is SafeFolder's.
#pragma once

#include <string>

#include "engine/kv_memory.h"
#include "transfer/block_store.h"

namespace kvasir {

class ExampleFolder final : public BlockStore {
 public:
  // `path`: exists.
  ExampleFolder(std::string path, uint64_t fingerprint, const KvLayout& layout);

  FoundBlocks find(const StoredPrompt& prompt) override;
  LoadedBlocks load(const StoredPrompt& prompt, uint32_t first, uint32_t count,
                    std::span<std::byte> into) override;
  Result<void> save(const StoredPrompt& prompt, std::span<const std::byte> bytes) override;

  // Where a prompt's first `tokens` tokens lie.
  std::string folder_of(std::span<const uint32_t> tokens) const;
  static std::string layer_file(uint32_t layer);

 private:
  enum class State : uint8_t { kMissing, kWhole, kDamaged, kForeign };
  struct Checked {
    State state;
    std::string problem;
  };
  struct Located {
    uint32_t blocks = 0;          // that can be loaded
    State all = State::kMissing;  // of what a prompt's own worker stores of it
    std::string problem;
  };

  uint32_t saved_blocks(size_t tokens) const;
  std::string folder_of_blocks(const StoredPrompt& prompt, uint32_t blocks) const;
  Located locate(const StoredPrompt& prompt) const;
  Checked check(const StoredPrompt& prompt, uint32_t blocks) const;
  std::string layer_header(const StoredPrompt& prompt, uint32_t blocks,
                           std::span<const std::span<const std::byte>> slices) const;
  Result<void> write_layers(const std::string& folder, const StoredPrompt& prompt, uint32_t blocks,
                            std::span<const std::byte> bytes) const;
  Result<void> replace_layers(const std::string& from, const std::string& to) const;

  const std::string path_;
  const std::string fingerprint_;
  const KvLayout layout_;
  bool swept_ = false;  // of what dead writers left
};

}  // namespace kvasir
