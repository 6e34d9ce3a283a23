#include "transfer/lmcache/lmcache_connector.h"

#include <gtest/gtest.h>

#include "transfer/connector_side_fixture.h"
#include "transfer/kv_fingerprint.h"
#include "transfer/lmcache/redis_server_fixture.h"
#include "transfer/lmcache/redis_store.h"
#include "transfer/store_connector.h"

namespace kvasir {
namespace {

constexpr char kNotInstalled[] = "redis-server is not installed: apt-get install redis-server";

class LmcacheTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!RedisServer::installed()) GTEST_SKIP() << kNotInstalled;
    signal(SIGPIPE, SIG_IGN);
    options_.timeouts.pause = Duration::zero();
    start({});
  }
  void start(std::vector<std::string> settings) {
    redis_ = nullptr;
    redis_ = std::make_unique<RedisServer>(std::move(settings));
    url_ = "redis://127.0.0.1:" + std::to_string(redis_->port());
  }
  std::shared_ptr<RedisStore> store(const std::string& model = "m") const {
    return std::make_shared<RedisStore>(parse_redis_url(url_).value(),
                                        kv_fingerprint(model, small_kv_layout()),
                                        small_kv_layout().block_bytes(), options_);
  }
  std::unique_ptr<ConnectorSide> worker(const std::string& model = "m") const {
    auto side = std::make_unique<ConnectorSide>();
    side->use(std::make_unique<StoreConnector>("lmcache", store(model), StoreConnectorOptions(),
                                               side->memory(), side->loop(), side->owner()));
    return side;
  }
  // Neither has a prompt nor can keep one, which is counted.
  void expect_nothing(ConnectorSide& side) {
    const uint64_t before = side.connector().stats().refused_peers;
    const KvPlan plan = side.plan(prompt_).second;
    EXPECT_EQ(plan.remote_blocks, 0u);
    EXPECT_FALSE(plan.keeps);
    EXPECT_EQ(side.connector().stats().refused_peers, before + 1);
  }

  const TestPrompt prompt_{41};
  RedisStoreOptions options_;
  std::unique_ptr<RedisServer> redis_;
  std::string url_;
};

TEST_F(LmcacheTest, BytesAreEqualAfterATransfer) {
  KvTransferConfig config;
  config.kind = KvTransferKind::kLmcache;
  config.remote_url = url_ + "/3";
  const auto made = [&](ConnectorSide& side) {
    side.use(make_lmcache_connector(config, "m", side.memory(), side.loop(), side.owner()).value());
  };
  ConnectorSide prefill, decode;
  made(prefill);
  made(decode);
  for (const size_t tokens : {3, 4, 5, 41, 200}) {
    const TestPrompt prompt(tokens, 0, 1000 * static_cast<uint32_t>(tokens));
    prefill.prefill(prompt);
    EXPECT_EQ(decode.decode(prompt), (tokens - 1) / 4);
    EXPECT_EQ(decode.problem, "");
    EXPECT_FALSE(decode.plan(prompt).second.keeps) << "it is stored";
  }
  EXPECT_EQ(redis_->ask({{"SELECT", "3"}, {"DBSIZE"}}), std::to_string(1 + 1 + 10 + 50));
}

TEST_F(LmcacheTest, PromptsShareTheBlocksThatTheyHaveInCommon) {
  worker()->prefill(prompt_);
  const TestPrompt other(61, 22, 500);
  const auto side = worker();
  EXPECT_EQ(side->plan(other).second.remote_blocks, 5u);
  side->prefill(other);
  EXPECT_EQ(redis_->ask({{"DBSIZE"}}), "20");
  EXPECT_EQ(worker()->decode(other), 15u);
}

TEST_F(LmcacheTest, AnotherModelOrSaltIsNotFound) {
  worker("one")->prefill(prompt_);
  EXPECT_EQ(worker("other")->decode(prompt_), 0u);
  EXPECT_EQ(worker("one")->decode(TestPrompt(41, 0, 0, 1)), 0u);
}

TEST_F(LmcacheTest, PromptsOfManyBatchesArriveWhole) {
  options_.batch_bytes_most = 300;
  options_.batch_commands_most = 3;
  const TestPrompt prompt(161);
  worker()->prefill(prompt);
  EXPECT_EQ(worker()->decode(prompt), 40u);
}

TEST_F(LmcacheTest, ADamagedBlockOfManyBatchesLeavesNoAnswersBehind) {
  options_.batch_commands_most = 3;
  worker()->prefill(prompt_);
  const auto side = worker();
  for (const size_t block : {0, 2, 3, 8, 9}) {
    redis_->ask({{"SETRANGE", store()->key_of(prompt_.blocks[block]), "40", "no KV"}});
    EXPECT_EQ(side->decode(prompt_), block);
    side->prefill(prompt_);
    EXPECT_EQ(side->decode(prompt_), 10u);
  }
}

TEST_F(LmcacheTest, OneFlippedByteAnywhereIsFoundAndStoredAgain) {
  worker()->prefill(prompt_);
  const std::string key = store()->key_of(prompt_.blocks[6]);
  const size_t size = 32 + small_kv_layout().block_bytes();
  for (size_t at = 0; at < size; at += 5) {
    const std::string sound =
        redis_->ask({{"GETRANGE", key, std::to_string(at), std::to_string(at)}});
    redis_->ask(
        {{"SETRANGE", key, std::to_string(at), std::string(1, static_cast<char>(sound[0] ^ 1))}});
    const auto decode = worker();
    ASSERT_EQ(decode->decode(prompt_), 6u) << at;
    EXPECT_NE(decode->problem.find(key), std::string::npos);
    EXPECT_EQ(decode->connector().stats().failed_transfers, 1u);
    worker()->prefill(prompt_);
    ASSERT_EQ(decode->decode(prompt_), 10u);
  }
}

TEST_F(LmcacheTest, WhatIsNoBlockIsComputedAndReplaced) {
  const std::string key = store()->key_of(prompt_.blocks[4]);
  const std::string stale = store()->key_of(prompt_.blocks[3]);
  const std::vector<std::vector<std::string>> changes[] = {
      {{"DEL", key}},
      {{"DEL", key}, {"LPUSH", key, "a list"}},
      {{"SET", key, "short"}},
      {{"APPEND", key, "more"}},
      {{"SET", key, std::string(1'000'000, 'x')}},
  };
  for (const auto& change : changes) {
    worker()->prefill(prompt_);
    redis_->ask(change);
    const auto decode = worker();
    EXPECT_EQ(decode->decode(prompt_), 4u);
    EXPECT_EQ(decode->problem, "") << "it was known before";
  }
  // Between plan() and fetch(): removed, replaced by another block's value.
  for (const auto& change : {std::vector<std::string>{"DEL", key}, {"RENAME", stale, key}}) {
    worker()->prefill(prompt_);
    const auto decode = worker();
    const auto [request, plan] = decode->plan(prompt_);
    ASSERT_EQ(plan.remote_blocks, 10u);
    redis_->ask({change});
    EXPECT_LE(decode->fetch(request, 0, ConnectorSide::blocks_from(0, 10)).blocks, 4u);
    EXPECT_NE(decode->fetched.at(request).problem, "");
  }
}

TEST_F(LmcacheTest, ARedisThatIsGoneOrRestartedIsForgivenOnceItIsBack) {
  const auto side = worker();
  side->prefill(prompt_);
  const auto [request, plan] = side->plan(prompt_);
  ASSERT_EQ(plan.remote_blocks, 10u);
  redis_->stop();
  EXPECT_EQ(side->fetch(request, 0, ConnectorSide::blocks_from(0, 10)).blocks, 0u);
  expect_nothing(*side);
  redis_->restart();
  EXPECT_EQ(side->decode(prompt_), 0u) << "it keeps nothing";
  side->prefill(prompt_);
  redis_->restart();  // the connection is stale now
  expect_nothing(*side);
  side->prefill(prompt_);
  EXPECT_EQ(side->decode(prompt_), 10u);
}

TEST_F(LmcacheTest, ARedisThatIsGoneIsNotTriedForEachRequest) {
  options_.timeouts.pause = std::chrono::hours(1);
  const auto side = worker();
  redis_->stop();
  expect_nothing(*side);
  redis_->restart();
  expect_nothing(*side);
}

TEST_F(LmcacheTest, ARedisThatDoesNotAnswerIsNotWaitedFor) {
  options_.timeouts.answer = std::chrono::milliseconds(20);
  const auto side = worker();
  side->prefill(prompt_);
  const auto [request, plan] = side->plan(prompt_);
  redis_->signal(SIGSTOP);
  EXPECT_EQ(side->fetch(request, 0, ConnectorSide::blocks_from(0, 10)).blocks, 0u);
  expect_nothing(*side);
  redis_->signal(SIGCONT);
}

TEST_F(LmcacheTest, ARedisThatIsFullStoresNothingAndIsCounted) {
  redis_->ask({{"CONFIG", "SET", "maxmemory", "1"}});
  const auto side = worker();
  side->prefill(prompt_);
  EXPECT_EQ(side->connector().stats().failed_transfers, 1u);
  const Result<void> saved =
      store()->save({prompt_.tokens, prompt_.blocks},
                    std::vector<std::byte>(10 * small_kv_layout().block_bytes()));
  ASSERT_FALSE(saved);
  EXPECT_NE(saved.error().message.find("OOM"), std::string::npos);
}

TEST_F(LmcacheTest, BlocksLiveAsLongAsTheyAreTo) {
  options_.ttl = std::chrono::seconds(1000);
  worker()->prefill(prompt_);
  const int seconds = std::stoi(redis_->ask({{"TTL", store()->key_of(prompt_.blocks[0])}}));
  EXPECT_GT(seconds, 900);
  EXPECT_LE(seconds, 1000);
}

TEST_F(LmcacheTest, PasswordsAreUsedAndNeverTold) {
  start({"--requirepass", "hunter2"});
  redis_->ask({{"ACL", "SETUSER", "me", "on", ">swordfish", "~*", "+@all"}}, "hunter2");
  const std::string at = "@127.0.0.1:" + std::to_string(redis_->port());
  for (const std::string user : {":hunter2", "me:swordfish", "me:swordf%69sh"}) {
    url_ = "redis://" + user + at;
    EXPECT_EQ(store()->find({prompt_.tokens, prompt_.blocks}).problem, "") << user;
  }
  for (const std::string user : {":swordfish", "hunter2:swordfish", "me:hunter2"}) {
    url_ = "redis://" + user + at;
    const std::string problem = store()->find({prompt_.tokens, prompt_.blocks}).problem;
    EXPECT_NE(problem.find("refuses AUTH"), std::string::npos) << problem;
    EXPECT_EQ(problem.find("hunter2"), std::string::npos) << problem;
    EXPECT_EQ(problem.find("swordfish"), std::string::npos) << problem;
  }
  url_ = "redis://" + at.substr(1);
  EXPECT_NE(store()->find({prompt_.tokens, prompt_.blocks}).problem, "");
  url_ = "redis://:hunter2" + at + "/99";
  EXPECT_NE(store()->find({prompt_.tokens, prompt_.blocks}).problem.find("no such database"),
            std::string::npos);
}

TEST(LmcacheWithoutRedis, WhatIsNoRedisIsRefused) {
  const Descriptor listener = listen_tcp("127.0.0.1", 0, false).value();
  RedisStoreOptions options;
  options.timeouts.answer = std::chrono::milliseconds(20);
  RedisUrl url;
  url.host = "127.0.0.1";
  url.port = local_port(listener);
  const TestPrompt prompt(9);
  RedisStore silent(url, 1, 64, options);
  const std::string problem = silent.find({prompt.tokens, prompt.blocks}).problem;
  EXPECT_NE(problem.find("does not answer"), std::string::npos) << problem;
}

TEST(LmcacheWithoutRedis, ThatNobodyAnswersIsSaidAndCountedAtOnce) {
  const std::string port = [] {
    const Descriptor listener = listen_tcp("127.0.0.1", 0, false).value();
    return std::to_string(local_port(listener));
  }();
  KvTransferConfig config;
  config.kind = KvTransferKind::kLmcache;
  config.remote_url = "redis://me:secret@127.0.0.1:" + port + "/3";
  ConnectorSide side;
  testing::internal::CaptureStderr();
  side.use(make_lmcache_connector(config, "m", side.memory(), side.loop(), side.owner()).value());
  side.run_until([&] { return side.connector().stats().refused_peers > 0; });
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("warning"), std::string::npos) << said;
  EXPECT_NE(said.find("lmcache: the Redis at 127.0.0.1:" + port + "/3 cannot be reached"),
            std::string::npos)
      << said;
  EXPECT_NE(said.find("prompts are computed here"), std::string::npos) << said;
  EXPECT_EQ(said.find("secret"), std::string::npos) << said;
  EXPECT_EQ(side.connector().stats().refused_peers, 1u);
}

TEST(LmcacheWithoutRedis, AUrlThatIsNoneRefusesToStart) {
  KvTransferConfig config;
  for (const char* url : {"", "http://x", "redis://me:secret@h:x"}) {
    config.remote_url = url;
    ConnectorSide side;
    const auto made = make_lmcache_connector(config, "m", side.memory(), side.loop(), side.owner());
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().message.find("remote_url: "), 0u);
    EXPECT_EQ(made.error().message.find("secret"), std::string::npos);
  }
}

}  // namespace
}  // namespace kvasir
