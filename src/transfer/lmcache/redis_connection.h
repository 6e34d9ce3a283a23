// One connection to a Redis, on a thread that may wait, for a bounded time: each answer has a
// timeout. Many commands go out before the first answer is read.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "transfer/lmcache/redis_url.h"

struct redisContext;

namespace kvasir {

struct RedisReply {
  enum class Kind : uint8_t { kNil, kError, kText, kInteger, kOther };
  Kind kind = Kind::kNil;
  std::string_view text;  // kError, kText; during the call
  int64_t integer = 0;
};

struct RedisTimeouts {
  Duration connect = std::chrono::seconds(1);
  Duration answer = std::chrono::seconds(1);  // of each
  Duration pause = std::chrono::seconds(1);   // after a failure nothing is tried for so long
};

// Commands as they go to a Redis.
class RedisCommands {
 public:
  // `rest` follows the last word as a part of it, and stays as it is until the commands are sent.
  void add(std::span<const std::string_view> words, std::span<const std::byte> rest = {});
  void clear();
  bool write(int socket) const;

 private:
  struct Rest {
    size_t at;  // of the text
    std::span<const std::byte> bytes;
  };
  std::string text_;
  std::vector<Rest> rests_;
};

class RedisConnection {
 public:
  using Command = std::vector<std::string_view>;
  // Of command `index`. False: the others' answers are not wanted.
  using OnReply = std::function<bool(size_t index, const RedisReply& reply)>;

  RedisConnection(RedisUrl url, const RedisTimeouts& timeouts);
  ~RedisConnection();
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  // Connects, if need be, sends all and reads the answers. An error: the Redis cannot be reached,
  // does not answer in time, or is none; never what a password says.
  Result<void> run(std::span<const Command> commands, const OnReply& on_reply);
  // The same in two steps, for whoever has more to send before the first answer is read. After an
  // error no answer comes any more.
  Result<void> send(const RedisCommands& commands);
  // To the next `count` commands that were sent.
  Result<void> receive(size_t count, const OnReply& on_reply);

 private:
  struct Free {
    void operator()(redisContext* context) const;
  };

  Result<void> connect();
  Result<void> sign_in();
  Error broken(std::string_view what);

  const RedisUrl url_;
  const RedisTimeouts timeouts_;
  SteadyClock clock_;
  std::unique_ptr<redisContext, Free> context_;  // null: not connected
  TimePoint paused_until_{};
  std::string last_failure_;
};

}  // namespace kvasir
