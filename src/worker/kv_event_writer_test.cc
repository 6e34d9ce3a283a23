// What a worker publishes, from requests over HTTP to frames of ZeroMQ and back to values.
#include "worker/kv_event_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/big_endian.h"
#include "base/virtual_executor_fixture.h"
#include "hashing/token_blocks.h"
#include "net/io/socket_address.h"
#include "net/io/system_resolver.h"
#include "wire/kv_events/kv_event_decoder.h"
#include "worker/worker_fixture.h"
#include "worker/zmq_peer_fixture.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// What a batch says.
struct SaidBatch final : KvEventSink {
  struct Stored {
    std::vector<uint64_t> hashes;
    std::optional<uint64_t> parent;
    std::vector<uint32_t> tokens;
    KvMedium medium;
    std::string salt;
    std::string adapter;
  };
  void on_stored(const KvBlocksStored& event) override {
    stored.push_back({{event.block_hashes.begin(), event.block_hashes.end()},
                      event.parent_block_hash,
                      {event.token_ids.begin(), event.token_ids.end()},
                      event.medium,
                      std::string(event.cache_salt),
                      std::string(event.lora_name)});
    kinds += "S";
  }
  void on_removed(const KvBlocksRemoved&) override { kinds += "R"; }
  void on_all_cleared() override { kinds += "C"; }
  void on_skipped(std::string_view why) override { ADD_FAILURE() << why; }

  std::vector<Stored> stored;
  std::string kinds;  // in order
  KvBatchHead head;
};

class KvEventWriterTest : public WorkerFixture {
 protected:
  ~KvEventWriterTest() override { stop_worker(); }

  void start_publishing(WorkerOptions options = default_options()) {
    stop_worker();
    KvEventWriterOptions events;
    events.publisher.endpoint = events.publisher.replay_endpoint = "tcp://127.0.0.1:*";
    events.data_parallel_rank = 3;
    auto writer = KvEventWriter::start(*loop_, resolver_, events);
    ASSERT_TRUE(writer.ok()) << writer.error().message;
    writer_ = std::move(*writer);
    seen_ = 0;
    start_worker(std::move(options), writer_.get());
  }

  // A completion of so many token ids from `first` on, with further fields of the request.
  Json prompt_of_ids(uint32_t tokens, uint32_t first, int max_tokens = 1,
                     const std::string& more = {}) {
    return complete(R"({"model":"sim","prompt":)" + Json(ids(tokens, first)).dump() +
                    R"(,"max_tokens":)" + std::to_string(max_tokens) + more + "}");
  }
  static std::vector<uint32_t> ids(uint32_t count, uint32_t first) {
    std::vector<uint32_t> ids(count);
    for (uint32_t i = 0; i < count; ++i) ids[i] = (first + i) % 1000;
    return ids;
  }
  static int cached(const Json& answer) {
    return answer["usage"]["prompt_tokens_details"]["cached_tokens"].get<int>();
  }

  // The next `count` batches that were published, and no more were.
  std::vector<SaidBatch> batches(size_t count) {
    while (writer_->publisher().counts().published < seen_ + count) std::this_thread::yield();
    std::vector<SaidBatch> said;
    for (const std::string& bytes : replay()) {
      KvEventDecoder decoder;
      const auto head = decoder.decode(bytes, said.emplace_back());
      EXPECT_TRUE(head.ok()) << head.error().message;
      if (head) said.back().head = *head;
    }
    seen_ += said.size();
    EXPECT_EQ(said.size(), count);
    said.resize(count);
    return said;
  }

 private:
  // What the publisher sends again.
  std::vector<std::string> replay() {
    ZmqPeer client(ZMQ_DEALER);
    client.connect(writer_->publisher().bound_replay_endpoint());
    client.send({"", big_endian_bytes(seen_)});
    std::vector<std::string> batches;
    for (;;) {
      const Frames frames = client.receive();
      if (frames.size() == 4 && !frames[3].empty()) {
        batches.push_back(frames[3]);
        continue;
      }
      EXPECT_EQ(frames.size(), 4u);
      return batches;
    }
  }

  SystemResolver resolver_;
  std::unique_ptr<KvEventWriter> writer_;
  uint64_t seen_ = 0;
};

TEST_F(KvEventWriterTest, EachStepThatChangesTheCacheIsABatch) {
  start_publishing();
  prompt_of_ids(40, 1);
  prompt_of_ids(40, 1);  // found again, nothing new
  prompt_of_ids(64, 1);
  const auto said = batches(2);
  const auto hashes = hash_token_blocks(ids(64, 1), 0, 16);
  ASSERT_EQ(said[0].kinds, "S");
  EXPECT_THAT(said[0].stored[0].hashes, ElementsAre(hashes[0], hashes[1]));
  EXPECT_EQ(said[0].stored[0].tokens, ids(32, 1));
  EXPECT_EQ(said[0].stored[0].parent, std::nullopt);
  EXPECT_EQ(said[0].stored[0].medium, KvMedium::kGpu);
  EXPECT_EQ(said[0].head.data_parallel_rank, 3u);
  EXPECT_GT(said[0].head.timestamp, 1.7e9);
  EXPECT_THAT(said[1].stored[0].hashes, ElementsAre(hashes[2], hashes[3]));
  EXPECT_EQ(said[1].stored[0].parent, hashes[1]);
}

TEST_F(KvEventWriterTest, BlocksOfAnswersArePublished) {
  start_publishing();
  prompt_of_ids(10, 1, 60, R"(,"ignore_eos":true)");
  const auto said = batches(4);
  for (const SaidBatch& batch : said) EXPECT_EQ(batch.kinds, "S");
  EXPECT_EQ(said[3].stored[0].parent, said[2].stored[0].hashes[0]);
}

TEST_F(KvEventWriterTest, SaltsAndAdaptersAreNamed) {
  WorkerOptions options = default_options();
  options.model.adapters = {{"poet", "/poet", ""}};
  options.model.lora = true;
  start_publishing(std::move(options));
  prompt_of_ids(20, 1, 1, R"(,"cache_salt":"mine")");
  complete(R"({"model":"poet","prompt":)" + Json(ids(20, 1)).dump() + R"(,"max_tokens":1})");
  const auto said = batches(2);
  EXPECT_EQ(said[0].stored[0].salt, "mine");
  EXPECT_EQ(said[0].stored[0].adapter, "");
  EXPECT_EQ(said[1].stored[0].salt, "");
  EXPECT_EQ(said[1].stored[0].adapter, "poet");
  EXPECT_NE(said[0].stored[0].hashes, said[1].stored[0].hashes);
}

// As in vLLM: in one batch with what follows.
TEST_F(KvEventWriterTest, AResetIsAnnouncedWithTheNextStep) {
  start_publishing();
  prompt_of_ids(40, 1);
  batches(1);
  EXPECT_EQ(ask("POST", "/reset_prefix_cache").status, 200);
  EXPECT_EQ(cached(prompt_of_ids(40, 1)), 0);
  EXPECT_EQ(batches(1)[0].kinds, "CS");
}

TEST_F(KvEventWriterTest, EvictedBlocksGoToTheCpuAndComeBack) {
  WorkerOptions options = default_options();
  options.profile.max_model_len = options.model.max_model_len = 256;
  options.profile.kv_tokens = 256;
  options.engine.cpu_blocks = 100;
  start_publishing(std::move(options));
  prompt_of_ids(160, 1);
  prompt_of_ids(160, 500);
  const auto said = batches(2);
  // 4 blocks of the first prompt have to go: told of on the CPU before the GPU loses them.
  EXPECT_EQ(said[1].kinds, "SRSRSRSRS");
  EXPECT_EQ(said[1].stored[0].medium, KvMedium::kCpu);
  EXPECT_THAT(said[1].stored[0].tokens, IsEmpty());
  EXPECT_EQ(said[1].stored[4].medium, KvMedium::kGpu);
  EXPECT_EQ(cached(prompt_of_ids(160, 1)), 144);
  EXPECT_EQ(metric("vllm:external_prefix_cache_hits_total"), 48);
  EXPECT_EQ(metric("vllm:prefix_cache_hits_total"), 96);
  EXPECT_EQ(metric("vllm:prompt_tokens_cached_total"), 144);
}

// Says to be the addresses of a name what the test says.
class SaidAddresses final : public Resolver {
 public:
  std::unique_ptr<LookUp> look_up(Executor& executor, const std::string& host,
                                  Answered answered) override {
    asked.push_back(host);
    executor.post([this, answered = std::move(answered)] { answered(addresses); });
    return std::make_unique<Resolver::LookUp>();
  }
  std::vector<std::string> asked;
  Result<Addresses> addresses = Addresses{};
};

void wait_for_batches(const KvEventWriter& writer, uint64_t count) {
  while (writer.publisher().counts().published < count) std::this_thread::yield();
  EXPECT_EQ(writer.publisher().counts().published, count);
}

KvBlocksRemoved one_block_removed() {
  static constexpr uint64_t kHash = 7;
  KvBlocksRemoved removed;
  removed.block_hashes = {&kHash, 1};
  return removed;
}

TEST(KvEventWriter, AnIntervalJoinsTheStepsInIt) {
  VirtualExecutor executor;
  SaidAddresses resolver;
  KvEventWriterOptions options;
  options.publisher.endpoint = "tcp://127.0.0.1:*";
  options.interval = std::chrono::milliseconds(100);
  const auto writer = std::move(KvEventWriter::start(executor, resolver, options)).value();
  const auto at = [](int ms) { return TimePoint{} + std::chrono::milliseconds(ms); };
  const auto step = [&] {
    writer->on_removed(one_block_removed());
    writer->step_finished();
  };
  step();
  executor.run_until(at(50));
  step();
  executor.run_until(at(99));
  wait_for_batches(*writer, 0);
  executor.run_until(at(101));
  wait_for_batches(*writer, 1);
  // What a step has told that still runs waits for its end.
  step();
  writer->on_removed(one_block_removed());
  executor.run_until(at(500));
  wait_for_batches(*writer, 1);
  writer->step_finished();
  wait_for_batches(*writer, 2);
  executor.run_until(at(1000));
  wait_for_batches(*writer, 2);
}

TEST(KvEventWriter, ABatchThatIsLargeDoesNotWait) {
  VirtualExecutor executor;
  SaidAddresses resolver;
  KvEventWriterOptions options;
  options.publisher.endpoint = "tcp://127.0.0.1:*";
  options.interval = std::chrono::hours(1);
  options.batch_tokens_max = 3;
  const auto writer = std::move(KvEventWriter::start(executor, resolver, options)).value();
  for (int i = 0; i < 7; ++i) {
    writer->on_removed(one_block_removed());
    writer->step_finished();
  }
  wait_for_batches(*writer, 2);
}

// A name with two addresses, of which one goes and another comes: as a headless Service with two
// pods behind it. Each gets what is published while it is there.
TEST(KvEventWriter, EachAddressOfANameGetsTheEvents) {
  VirtualExecutor executor;
  SaidAddresses resolver;
  ZmqPeer first(ZMQ_SUB), second(ZMQ_SUB), third(ZMQ_SUB);
  const std::string bound = first.bind("tcp://127.0.0.1:*");
  const std::string port = bound.substr(bound.rfind(':'));
  second.bind("tcp://127.0.0.2" + port);
  third.bind("tcp://127.0.0.3" + port);
  KvEventWriterOptions options;
  options.publisher.endpoint = "tcp://manager.somewhere" + port;
  resolver.addresses =
      Resolver::Addresses{*literal_address("127.0.0.1"), *literal_address("127.0.0.2")};
  const auto writer = std::move(KvEventWriter::start(executor, resolver, options)).value();
  executor.run_until(TimePoint{} + std::chrono::seconds(1));
  const auto publish_until = [&](ZmqPeer& one, ZmqPeer& other) {
    while (!one.has_message() || !other.has_message()) {
      writer->on_removed(one_block_removed());
      writer->step_finished();
      std::this_thread::yield();
    }
  };
  publish_until(first, second);
  EXPECT_FALSE(third.has_message());
  resolver.addresses =
      Resolver::Addresses{*literal_address("127.0.0.1"), *literal_address("127.0.0.3")};
  executor.run_until(TimePoint{} + std::chrono::seconds(11));
  publish_until(first, third);
  EXPECT_EQ(resolver.asked, std::vector<std::string>(3, "manager.somewhere"));
}

TEST(KvEventWriter, ThatNobodyIsConnectedToIsToldOnceAndItsEndToo) {
  VirtualExecutor executor;
  SaidAddresses resolver;
  resolver.addresses = Resolver::Addresses{*literal_address("127.0.0.1")};
  KvEventWriterOptions options;
  {
    ZmqPeer free(ZMQ_SUB);
    options.publisher.endpoint = free.bind();
  }
  const auto writer = std::move(KvEventWriter::start(executor, resolver, options)).value();
  const auto said_until = [&](int seconds) {
    testing::internal::CaptureStderr();
    executor.run_until(TimePoint{} + std::chrono::seconds(seconds));
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(said_until(4), testing::Not(testing::HasSubstr("nobody listens")));
  EXPECT_THAT(said_until(6),
              testing::HasSubstr("KV_EVENT nobody listens at " + options.publisher.endpoint));
  EXPECT_EQ(said_until(30), "");
  ZmqPeer manager(ZMQ_SUB);
  manager.bind(options.publisher.endpoint);
  while (writer->publisher().counts().connections == 0) std::this_thread::yield();
  EXPECT_THAT(said_until(36), testing::HasSubstr("KV_EVENT connected to"));
  EXPECT_EQ(said_until(60), "");
}

TEST_F(KvEventWriterTest, ItsCountersAreMetrics) {
  start_publishing();
  prompt_of_ids(40, 1);
  batches(1);
  EXPECT_EQ(metric("kvasir:kv_event_batches_published_total"), 1);
  EXPECT_EQ(metric("kvasir:kv_event_batches_replayed_total"), 1);
  EXPECT_EQ(metric("kvasir:kv_event_batches_dropped_total"), 0);
}

}  // namespace
}  // namespace kvasir
