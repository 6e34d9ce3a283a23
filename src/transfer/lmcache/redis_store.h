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
  size_t batch_bytes_most = size_t{512} << 10;  // two batches are on the way at one time
  size_t batch_commands_most = 1024;
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
  std::string head_of(BlockHash block, uint64_t checksum) const;
  struct Batches {
    size_t count;  // of all commands
    size_t size;   // of a batch
    TimePoint until;
  };
  // Adds command `index`.
  using Add = std::function<void(size_t index, RedisCommands& commands)>;
  Result<void> run_batches(const Batches& batches, const Add& add,
                           const RedisConnection::OnReply& on_reply);
  TimePoint patience_end() const { return time_after(clock_.now(), options_.patience); }
  void ask_length(BlockHash block, RedisCommands& commands) const;
  bool is_length(const RedisReply& reply) const;
  Result<std::vector<size_t>> missing(const StoredPrompt& prompt, TimePoint until);

  const std::string prefix_;
  const uint64_t fingerprint_;
  const size_t block_bytes_;
  const RedisStoreOptions options_;
  SteadyClock clock_;
  RedisConnection redis_;
  RedisCommands commands_;
};

}  // namespace kvasir
