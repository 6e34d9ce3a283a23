#include "transfer/lmcache/redis_connection.h"

#include <hiredis/hiredis.h>
#include <sys/time.h>

#include <utility>

namespace kvasir {
namespace {

timeval timeval_of(Duration duration) {
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return {static_cast<time_t>(microseconds / 1'000'000),
          static_cast<suseconds_t>(microseconds % 1'000'000)};
}

RedisReply read_reply(const redisReply& raw) {
  using Kind = RedisReply::Kind;
  switch (raw.type) {
    case REDIS_REPLY_NIL:
      return {};
    case REDIS_REPLY_ERROR:
      return {Kind::kError, {raw.str, raw.len}, 0};
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      return {Kind::kText, {raw.str, raw.len}, 0};
    case REDIS_REPLY_INTEGER:
      return {Kind::kInteger, {}, raw.integer};
    default:
      return {Kind::kOther, {}, 0};
  }
}

}  // namespace

void RedisConnection::Free::operator()(redisContext* context) const {
  redisFree(context);
}

RedisConnection::RedisConnection(RedisUrl url, const RedisTimeouts& timeouts)
    : url_(std::move(url)), timeouts_(timeouts) {}

RedisConnection::~RedisConnection() = default;

Result<void> RedisConnection::run(std::span<const Command> commands, const OnReply& on_reply) {
  if (commands.empty()) return {};
  if (context_ == nullptr) {
    if (clock_.now() < paused_until_) return Error{last_failure_};
    if (const Result<void> connected = connect(); !connected) return connected;
  }
  return talk(commands, on_reply);
}

Result<void> RedisConnection::connect() {
  context_.reset(
      redisConnectWithTimeout(url_.host.c_str(), url_.port, timeval_of(timeouts_.connect)));
  if (context_ == nullptr || context_->err != 0) return broken("cannot be reached");
  if (redisSetTimeout(context_.get(), timeval_of(timeouts_.answer)) != REDIS_OK) {
    return broken("cannot be used");
  }
  redisEnableKeepAlive(context_.get());
  return sign_in();
}

Result<void> RedisConnection::sign_in() {
  std::vector<Command> commands;
  if (!url_.password.empty()) {
    commands.push_back(url_.user.empty() ? Command{"AUTH", url_.password}
                                         : Command{"AUTH", url_.user, url_.password});
  }
  const std::string db = std::to_string(url_.db);
  if (url_.db != 0) commands.push_back({"SELECT", db});
  // Says whether it is a Redis that serves us before anything else is asked.
  commands.push_back({"PING"});
  std::string refused;
  const Result<void> done = talk(commands, [&](size_t index, const RedisReply& reply) {
    if (reply.kind == RedisReply::Kind::kText) return true;
    // In our words: an error may repeat what it was given.
    const std::string_view command = commands[index].front();
    refused = "refuses " + std::string(command) +
              (command == "SELECT" ? ": it has no such database" : ": is its password right?");
    return false;
  });
  if (!done) return done;
  return refused.empty() ? Result<void>() : broken(refused);
}

Result<void> RedisConnection::talk(std::span<const Command> commands, const OnReply& on_reply) {
  for (const Command& command : commands) {
    std::vector<const char*> parts;
    std::vector<size_t> sizes;
    for (const std::string_view part : command) {
      parts.push_back(part.data());
      sizes.push_back(part.size());
    }
    if (redisAppendCommandArgv(context_.get(), static_cast<int>(parts.size()), parts.data(),
                               sizes.data()) != REDIS_OK) {
      return broken("cannot be told");
    }
  }
  bool wanted = true;
  for (size_t index = 0; index < commands.size(); ++index) {
    void* raw = nullptr;
    if (redisGetReply(context_.get(), &raw) != REDIS_OK || raw == nullptr) {
      return broken("does not answer");
    }
    const std::unique_ptr<redisReply, void (*)(void*)> reply(static_cast<redisReply*>(raw),
                                                             freeReplyObject);
    wanted = wanted && on_reply(index, read_reply(*reply));
  }
  return {};
}

// The connection is given up; another is tried after a pause.
Error RedisConnection::broken(std::string_view what) {
  last_failure_ = "the Redis at " + url_.public_text() + " " + std::string(what);
  if (context_ != nullptr && context_->err != 0) {
    last_failure_ += std::string(": ") + context_->errstr;
  }
  context_ = nullptr;
  paused_until_ = time_after(clock_.now(), timeouts_.pause);
  return Error{last_failure_};
}

}  // namespace kvasir
