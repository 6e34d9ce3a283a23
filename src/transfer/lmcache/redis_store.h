// Blocks in a Redis that all workers see: a string for each,
//
//   kvasir:1:<fingerprint>:<BlockHash>   16 hexadecimal digits each
//   "KVASIRR1", fingerprint, BlockHash, checksum (8 bytes each, little-endian), the block
//
// What the Redis forgets, by its own limit (maxmemory-policy) or after `ttl`, is computed again; so
// is what is there and is not right, which is removed.
#pragma once

#include <string>

#include "transfer/block_store.h"
#include "transfer/lmcache/redis_connection.h"

namespace kvasir {

struct RedisStoreOptions {
  RedisTimeouts timeouts;
  Duration ttl{};                             // since it was stored; 0: for ever
  size_t batch_bytes_most = size_t{2} << 20;  // on the way at one time
  size_t batch_commands_most = 4096;
  Duration patience = std::chrono::seconds(20);  // with all batches of one request
};

class RedisStore final : public BlockStore {
 public:
  RedisStore(RedisUrl url, uint64_t fingerprint, size_t block_bytes,
             const RedisStoreOptions& options);

  Result<void> usable() override;
  FoundBlocks find(const StoredPrompt& prompt) override;
  LoadedBlocks load(const StoredPrompt& prompt, uint32_t first, uint32_t count,
                    std::span<std::byte> into) override;
  Result<void> save(const StoredPrompt& prompt, std::span<const std::byte> bytes) override;

  std::string key_of(BlockHash block) const;

 private:
  size_t value_bytes() const;
  size_t blocks_of_batch() const;
  bool is_value(std::string_view value, BlockHash block) const;
  void append_value(BlockHash block, std::span<const std::byte> bytes, std::string& values) const;
  Result<void> load_batch(const StoredPrompt& prompt, uint32_t first, uint32_t count,
                          LoadedBlocks& loaded, std::span<std::byte> into);
  Result<void> save_batch(const StoredPrompt& prompt, size_t first, size_t count,
                          std::span<const std::byte> bytes);
  Result<void> missing(std::span<const BlockHash> blocks, std::vector<bool>& missing);

  const std::string prefix_;
  const uint64_t fingerprint_;
  const size_t block_bytes_;
  const RedisStoreOptions options_;
  SteadyClock clock_;
  RedisConnection redis_;
};

}  // namespace kvasir
