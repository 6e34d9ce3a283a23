#include "transfer/lmcache/redis_connection.h"

#include <hiredis/hiredis.h>
#include <sys/time.h>

#include <utility>

#include "transfer/write_pieces.h"

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

void RedisCommands::add(std::span<const std::string_view> words, std::span<const std::byte> rest) {
  text_ += '*' + std::to_string(words.size()) + "\r\n";
  for (size_t i = 0; i < words.size(); ++i) {
    const bool last = i + 1 == words.size();
    text_ += '$' + std::to_string(words[i].size() + (last ? rest.size() : 0)) + "\r\n";
    text_ += words[i];
    if (last && !rest.empty()) rests_.push_back({text_.size(), rest});
    text_ += "\r\n";
  }
}

void RedisCommands::clear() {
  text_.clear();
  rests_.clear();
}

bool RedisCommands::write(int socket) const {
  const std::span<const std::byte> text = std::as_bytes(std::span(text_.data(), text_.size()));
  std::vector<std::span<const std::byte>> pieces;
  size_t done = 0;
  for (const Rest& rest : rests_) {
    pieces.push_back(text.subspan(done, rest.at - done));
    pieces.push_back(rest.bytes);
    done = rest.at;
  }
  pieces.push_back(text.subspan(done));
  return write_pieces(socket, pieces);
}

void RedisConnection::Free::operator()(redisContext* context) const {
  redisFree(context);
}

RedisConnection::RedisConnection(RedisUrl url, const RedisTimeouts& timeouts)
    : url_(std::move(url)), timeouts_(timeouts) {}

RedisConnection::~RedisConnection() = default;

Result<void> RedisConnection::run(std::span<const Command> commands, const OnReply& on_reply) {
  if (commands.empty()) return {};
  RedisCommands made;
  for (const Command& command : commands) made.add(command);
  const Result<void> sent = send(made);
  return sent ? receive(commands.size(), on_reply) : sent;
}

Result<void> RedisConnection::send(const RedisCommands& commands) {
  if (context_ == nullptr) {
    if (clock_.now() < paused_until_) return Error{last_failure_};
    if (const Result<void> connected = connect(); !connected) return connected;
  }
  if (!commands.write(context_->fd)) return broken("cannot be told");
  return {};
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
  const Result<void> done = run(commands, [&](size_t index, const RedisReply& reply) {
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

Result<void> RedisConnection::receive(size_t count, const OnReply& on_reply) {
  if (context_ == nullptr) return Error{last_failure_};
  bool wanted = true;
  for (size_t index = 0; index < count; ++index) {
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
