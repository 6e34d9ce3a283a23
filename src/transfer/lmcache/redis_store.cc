#include "transfer/lmcache/redis_store.h"

#include <algorithm>
#include <array>
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

std::string RedisStore::head_of(BlockHash block, uint64_t checksum) const {
  std::string head(kRedisMagic);
  append_little_endian(fingerprint_, head);
  append_little_endian(block, head);
  append_little_endian(checksum, head);
  return head;
}

// While the answers to one batch are read the Redis works at the next one.
Result<void> RedisStore::run_batches(const Batches& batches, const Add& add,
                                     const RedisConnection::OnReply& on_reply) {
  const size_t count = batches.count;
  size_t sent = 0, answered = 0;
  bool wanted = true, late = false;
  while (answered < sent || (wanted && !late && sent < count)) {
    const size_t owed = sent - answered;
    late = late || (sent < count && clock_.now() >= batches.until);
    if (wanted && !late && sent < count) {
      const size_t end = std::min(sent + batches.size, count);
      for (commands_.clear(); sent < end; ++sent) add(sent, commands_);
      if (const Result<void> done = redis_.send(commands_); !done) return done;
    }
    const Result<void> done = redis_.receive(owed, [&](size_t index, const RedisReply& reply) {
      wanted = wanted && on_reply(answered + index, reply);
      return wanted;
    });
    if (!done) return done;
    answered += owed;
  }
  return late && wanted ? Result<void>(Error{"the Redis is too slow"}) : Result<void>();
}

void RedisStore::ask_length(BlockHash block, RedisCommands& commands) const {
  const std::string key = key_of(block);
  commands.add(std::array<std::string_view, 2>{"STRLEN", key});
}

bool RedisStore::is_length(const RedisReply& reply) const {
  return reply.kind == RedisReply::Kind::kInteger &&
         reply.integer == static_cast<int64_t>(value_bytes());
}

Result<void> RedisStore::usable() {
  const RedisConnection::Command ping[] = {{"PING"}};
  return redis_.run(ping, [](size_t, const RedisReply&) { return true; });
}

FoundBlocks RedisStore::find(const StoredPrompt& prompt) {
  FoundBlocks found;
  const auto ask = [&](size_t index, RedisCommands& commands) {
    ask_length(prompt.blocks[index], commands);
  };
  const auto use = [&](size_t, const RedisReply& reply) {
    found.blocks += is_length(reply);
    return is_length(reply);
  };
  const Result<void> asked =
      run_batches({prompt.blocks.size(), options_.batch_commands_most, patience_end()}, ask, use);
  // Who does not answer is not asked to keep anything either.
  if (!asked) return {0, true, asked.error().message};
  found.nothing_to_save = found.blocks == prompt.blocks.size();
  return found;
}

// Which of the prompt's blocks the Redis does not have, or not as long as they are.
Result<std::vector<size_t>> RedisStore::missing(const StoredPrompt& prompt, TimePoint until) {
  std::vector<size_t> missing;
  const auto ask = [&](size_t index, RedisCommands& commands) {
    ask_length(prompt.blocks[index], commands);
  };
  const auto use = [&](size_t index, const RedisReply& reply) {
    if (!is_length(reply)) missing.push_back(index);
    return true;
  };
  const Result<void> asked =
      run_batches({prompt.blocks.size(), options_.batch_commands_most, until}, ask, use);
  if (!asked) return asked.error();
  return missing;
}

LoadedBlocks RedisStore::load(const StoredPrompt& prompt, uint32_t first, uint32_t count,
                              std::span<std::byte> into) {
  LoadedBlocks loaded;
  // Not GET: what is there may be longer than a block.
  const std::string last = std::to_string(value_bytes());
  std::string damaged;
  const auto ask = [&](size_t index, RedisCommands& commands) {
    const std::string key = key_of(prompt.blocks[first + index]);
    commands.add(std::array<std::string_view, 4>{"GETRANGE", key, "0", last});
  };
  const auto use = [&](size_t index, const RedisReply& reply) {
    if (reply.kind != RedisReply::Kind::kText || reply.text.empty()) {
      loaded.problem = "they were removed";
      return false;
    }
    const BlockHash block = prompt.blocks[first + index];
    const std::string_view bytes = reply.text.substr(std::min(kRedisHeadBytes, reply.text.size()));
    if (bytes.size() != block_bytes_ ||
        !reply.text.starts_with(head_of(block, kv_checksum(bytes)))) {
      damaged = key_of(block);
      loaded.problem = "what is stored under " + damaged + " is not that block";
      return false;
    }
    std::memcpy(into.data() + index * block_bytes_, bytes.data(), block_bytes_);
    ++loaded.blocks;
    return true;
  };
  Result<void> done = run_batches({count, blocks_of_batch(), patience_end()}, ask, use);
  if (done && !damaged.empty()) {
    const RedisConnection::Command remove[] = {{"DEL", damaged}};
    done = redis_.run(remove, [](size_t, const RedisReply&) { return true; });
  }
  if (!done) loaded.problem = done.error().message;
  return loaded;
}

Result<void> RedisStore::save(const StoredPrompt& prompt, std::span<const std::byte> bytes) {
  const TimePoint until = patience_end();
  const Result<std::vector<size_t>> missing = this->missing(prompt, until);
  if (!missing) return missing.error();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options_.ttl).count();
  const std::string ttl = std::to_string(seconds);
  const auto store = [&](size_t index, RedisCommands& commands) {
    const BlockHash block = prompt.blocks[(*missing)[index]];
    const std::string key = key_of(block);
    const auto value = bytes.subspan((*missing)[index] * block_bytes_, block_bytes_);
    const std::string head = head_of(block, kv_checksum(value));
    if (seconds > 0) {
      commands.add(std::array<std::string_view, 4>{"SETEX", key, ttl, head}, value);
    } else {
      commands.add(std::array<std::string_view, 3>{"SET", key, head}, value);
    }
  };
  std::string refused;
  const Result<void> done = run_batches({missing->size(), blocks_of_batch(), until}, store,
                                        [&](size_t, const RedisReply& reply) {
                                          if (reply.kind == RedisReply::Kind::kError)
                                            refused = reply.text.substr(0, 200);
                                          return refused.empty();
                                        });
  if (!done || refused.empty()) return done;
  return Error{"the Redis says " + refused};
}

}  // namespace kvasir
