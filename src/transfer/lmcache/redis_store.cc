#include "transfer/lmcache/redis_store.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/integer_text.h"
#include "base/little_endian.h"
#include "transfer/kv_fingerprint.h"

namespace kvasir {
namespace {

constexpr std::string_view kRedisMagic = "KVASIRR1";
constexpr size_t kRedisHeadBytes = 32;

}  // namespace

RedisStore::RedisStore(RedisUrl url, uint64_t fingerprint, size_t block_bytes,
                       const RedisStoreOptions& options)
    : prefix_("kvasir:1:" + hexadecimal(fingerprint) + ":"),
      fingerprint_(fingerprint),
      block_bytes_(block_bytes),
      options_(options),
      redis_(std::move(url), options.timeouts) {}

std::string RedisStore::key_of(BlockHash block) const {
  return prefix_ + hexadecimal(block);
}

size_t RedisStore::value_bytes() const {
  return kRedisHeadBytes + block_bytes_;
}

size_t RedisStore::blocks_of_batch() const {
  return std::clamp<size_t>(options_.batch_bytes_most / value_bytes(), 1,
                            options_.batch_commands_most);
}

bool RedisStore::is_value(std::string_view value, BlockHash block) const {
  if (value.size() != value_bytes()) return false;
  std::string head(kRedisMagic);
  append_little_endian(fingerprint_, head);
  append_little_endian(block, head);
  append_little_endian(kv_checksum(value.substr(kRedisHeadBytes)), head);
  return value.substr(0, kRedisHeadBytes) == head;
}

void RedisStore::append_value(BlockHash block, std::span<const std::byte> bytes,
                              std::string& values) const {
  values += kRedisMagic;
  append_little_endian(fingerprint_, values);
  append_little_endian(block, values);
  append_little_endian(kv_checksum(bytes), values);
  values.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// Which of the blocks the Redis does not have, or not as long as they are.
Result<void> RedisStore::missing(std::span<const BlockHash> blocks, std::vector<bool>& missing) {
  std::vector<std::string> keys;
  std::vector<RedisConnection::Command> commands;
  for (const BlockHash block : blocks) keys.push_back(key_of(block));
  for (const std::string& key : keys) commands.push_back({"STRLEN", key});
  missing.assign(blocks.size(), true);
  return redis_.run(commands, [&](size_t index, const RedisReply& reply) {
    missing[index] = reply.kind != RedisReply::Kind::kInteger ||
                     reply.integer != static_cast<int64_t>(value_bytes());
    return true;
  });
}

Result<void> RedisStore::usable() {
  const RedisConnection::Command ping[] = {{"PING"}};
  return redis_.run(ping, [](size_t, const RedisReply&) { return true; });
}

FoundBlocks RedisStore::find(const StoredPrompt& prompt) {
  FoundBlocks found;
  std::vector<bool> missing;
  const std::span<const BlockHash> blocks = prompt.blocks;
  for (size_t first = 0; first < blocks.size(); first += missing.size()) {
    const size_t count = std::min(options_.batch_commands_most, blocks.size() - first);
    const Result<void> asked = this->missing(blocks.subspan(first, count), missing);
    // Who does not answer is not asked to keep anything either.
    if (!asked) return {0, true, asked.error().message};
    const auto gap = std::find(missing.begin(), missing.end(), true);
    found.blocks += static_cast<uint32_t>(gap - missing.begin());
    if (gap != missing.end()) return found;
  }
  found.nothing_to_save = true;
  return found;
}

LoadedBlocks RedisStore::load(const StoredPrompt& prompt, uint32_t first, uint32_t count,
                              std::span<std::byte> into) {
  LoadedBlocks loaded;
  const TimePoint until = time_after(clock_.now(), options_.patience);
  const auto batch = static_cast<uint32_t>(blocks_of_batch());
  while (loaded.blocks < count && loaded.problem.empty()) {
    const uint32_t next = std::min(batch, count - loaded.blocks);
    const Result<void> done = load_batch(prompt, first + loaded.blocks, next, loaded,
                                         into.subspan(loaded.blocks * block_bytes_));
    if (!done) loaded.problem = done.error().message;
    if (loaded.blocks < count && clock_.now() >= until) loaded.problem = "the Redis is too slow";
  }
  return loaded;
}

Result<void> RedisStore::load_batch(const StoredPrompt& prompt, uint32_t first, uint32_t count,
                                    LoadedBlocks& loaded, std::span<std::byte> into) {
  std::vector<std::string> keys;
  std::vector<RedisConnection::Command> commands;
  // Not GET: what is there may be longer than a block.
  const std::string last = std::to_string(value_bytes());
  for (uint32_t i = 0; i < count; ++i) keys.push_back(key_of(prompt.blocks[first + i]));
  for (const std::string& key : keys) commands.push_back({"GETRANGE", key, "0", last});
  size_t bad = count;
  const Result<void> done = redis_.run(commands, [&](size_t index, const RedisReply& reply) {
    if (reply.kind != RedisReply::Kind::kText || reply.text.empty()) {
      loaded.problem = "they were removed";
      return false;
    }
    if (!is_value(reply.text, prompt.blocks[first + index])) {
      loaded.problem = "what is stored under " + keys[index] + " is not that block";
      bad = index;
      return false;
    }
    std::memcpy(into.data() + index * block_bytes_, reply.text.data() + kRedisHeadBytes,
                block_bytes_);
    ++loaded.blocks;
    return true;
  });
  if (!done || bad == count) return done;
  const RedisConnection::Command remove[] = {{"DEL", keys[bad]}};
  return redis_.run(remove, [](size_t, const RedisReply&) { return true; });
}

Result<void> RedisStore::save(const StoredPrompt& prompt, std::span<const std::byte> bytes) {
  const TimePoint until = time_after(clock_.now(), options_.patience);
  for (size_t first = 0; first < prompt.blocks.size(); first += blocks_of_batch()) {
    if (clock_.now() >= until) return Error{"the Redis is too slow"};
    const size_t count = std::min(blocks_of_batch(), prompt.blocks.size() - first);
    const size_t size = block_bytes_;
    const Result<void> done =
        save_batch(prompt, first, count, bytes.subspan(first * size, count * size));
    if (!done) return done;
  }
  return {};
}

Result<void> RedisStore::save_batch(const StoredPrompt& prompt, size_t first, size_t count,
                                    std::span<const std::byte> bytes) {
  const std::span<const BlockHash> blocks = std::span(prompt.blocks).subspan(first, count);
  std::vector<bool> missing;
  if (const Result<void> asked = this->missing(blocks, missing); !asked) return asked;
  std::vector<std::string> keys;
  std::string values;
  values.reserve(count * value_bytes());
  const size_t size = block_bytes_;
  for (size_t i = 0; i < count; ++i) {
    if (!missing[i]) continue;
    keys.push_back(key_of(blocks[i]));
    append_value(blocks[i], bytes.subspan(i * size, size), values);
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options_.ttl).count();
  const std::string ttl = std::to_string(seconds);
  std::vector<RedisConnection::Command> commands;
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto value = std::string_view(values).substr(i * value_bytes(), value_bytes());
    commands.push_back({"SET", keys[i], value});
    if (seconds > 0) commands.back().insert(commands.back().end(), {"EX", ttl});
  }
  std::string refused;
  const Result<void> done = redis_.run(commands, [&](size_t, const RedisReply& reply) {
    if (reply.kind == RedisReply::Kind::kError) refused = reply.text.substr(0, 200);
    return true;
  });
  if (!done || refused.empty()) return done;
  return Error{"the Redis says " + refused};
}

}  // namespace kvasir
