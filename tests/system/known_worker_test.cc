// What a subscriber knows of a worker's caches by its events is what the worker then finds there:
// from a request over HTTP through engine, ZeroMQ, feed and index, before each next request.
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "hashing/token_blocks.h"
#include "kvevents/cache_tracker.h"
#include "kvevents/event_feed.h"
#include "net/io/system_resolver.h"
#include "worker/kv_event_writer.h"
#include "worker/worker_fixture.h"

namespace kvasir {
namespace {

class SilentKvEventProbe final : public KvEventProbe {
 public:
  void on_subscribed(const Endpoint&, uint32_t, bool) override {}
  void on_lost(const Endpoint&, uint32_t, std::string_view why) override {
    ADD_FAILURE() << "events were lost: " << why;
  }
  void on_restarted(const Endpoint&, uint32_t) override { ADD_FAILURE() << "nobody restarts"; }
  void on_recovered(const Endpoint&, uint32_t, uint64_t, KvFreshness) override {}
};

class KnownWorkerTest : public WorkerFixture {
 protected:
  static constexpr uint32_t kBlockSize = 16;
  static constexpr Duration kPatience = std::chrono::seconds(20);

  ~KnownWorkerTest() override {
    feed_.reset();
    stop_worker();
  }

  void start(uint32_t gpu_blocks, uint32_t cpu_blocks) {
    stop_worker();
    KvEventWriterOptions events;
    events.publisher.endpoint = events.publisher.replay_endpoint = "tcp://127.0.0.1:*";
    writer_ = std::move(KvEventWriter::start(*loop_, resolver_, events)).value();
    WorkerOptions options = default_options();
    options.profile.max_model_len = options.model.max_model_len = 1024;
    options.profile.kv_tokens = uint64_t{gpu_blocks} * kBlockSize;
    options.engine.cpu_blocks = cpu_blocks;
    start_worker(options, writer_.get());
    subscribe();
  }
  void subscribe() {
    feed_.reset();
    KvEventFeedOptions feed;
    feed.addresses.events = writer_->publisher().bound_endpoint();
    feed.addresses.replay = writer_->publisher().bound_replay_endpoint();
    feed_ = std::move(KvEventFeed::start(feed, tracker_, probe_)).value();
    feed_->joined(EndpointId(0), {"worker", "127.0.0.1", worker_->port(), {}});
  }

  // Until the index has everything that was published. Between a reset and its announcement what
  // it knows is incomplete.
  void settle() {
    const uint64_t batches = writer_->publisher().counts().offered;
    const auto is_known = [&] {
      const CacheTrackerStatistics now = tracker_.statistics();
      if (now.sources.empty() || now.sources[0].batches < batches) return false;
      const KvFreshness freshness = now.sources[0].freshness;
      return freshness == KvFreshness::kExact || (reset_ && freshness == KvFreshness::kIncomplete);
    };
    const TimePoint deadline = loop_->now() + kPatience;
    run_until([&] { return is_known() || loop_->now() > deadline; });
    ASSERT_TRUE(is_known()) << "of " << batches << " batches the index has "
                            << tracker_.statistics().sources.at(0).batches;
  }
  uint32_t predicted(const std::vector<uint32_t>& prompt, const std::string& salt) {
    TokenChain chain(prompt, tracker_.root("sim", salt), kBlockSize);
    const ChainOfSize of_size{kBlockSize, &chain};
    const EndpointId endpoint{0};
    CachedPrefix cached;
    tracker_.match({&of_size, 1}, {&endpoint, 1}, {&cached, 1});
    return cached.usable_tokens(static_cast<uint32_t>(prompt.size()));
  }
  // What the worker says that it found.
  uint32_t found(const std::vector<uint32_t>& prompt, const std::string& salt, int max_tokens) {
    Json body = {
        {"model", "sim"}, {"prompt", prompt}, {"max_tokens", max_tokens}, {"ignore_eos", true}};
    if (!salt.empty()) body["cache_salt"] = salt;
    const Json answer = complete(body.dump());
    return answer["usage"]["prompt_tokens_details"]["cached_tokens"].get<uint32_t>();
  }

  // The worker announces it with its next step; who asked for it says so at once.
  void reset() {
    EXPECT_EQ(ask("POST", "/reset_prefix_cache").status, 200);
    feed_->was_reset(EndpointId(0));
    std::promise<void> done;
    feed_->post([&done] { done.set_value(); });
    done.get_future().wait();
    reset_ = true;
  }

  // Prompts of few kinds, each a beginning of one of them; the worker is reset now and then.
  void ask_and_compare(int requests) {
    Random random(1);
    uint64_t hits = 0;
    for (int i = 0; i < requests; ++i) {
      ASSERT_NO_FATAL_FAILURE(settle());
      if (random.below(40) == 0) reset();
      std::vector<uint32_t> prompt(17 + random.below(500));
      const auto kind = static_cast<uint32_t>(random.below(4) * 100);
      for (size_t at = 0; at < prompt.size(); ++at) {
        prompt[at] = 300 + (kind + static_cast<uint32_t>(at)) % 600;
      }
      const std::string salt = random.below(3) == 0 ? "salted" : "";
      const uint32_t expected = predicted(prompt, salt);
      ASSERT_EQ(found(prompt, salt, static_cast<int>(1 + random.below(60))), expected)
          << "request " << i << " of " << prompt.size() << " tokens";
      reset_ = false;
      hits += expected;
    }
    EXPECT_GT(hits, 1000u);
  }

  SystemResolver resolver_;
  CacheTracker tracker_{CacheTrackerOptions{}};
  SilentKvEventProbe probe_;
  std::unique_ptr<KvEventWriter> writer_;
  std::unique_ptr<KvEventFeed> feed_;
  bool reset_ = false;  // and nothing was asked since
};

TEST_F(KnownWorkerTest, WhatIsKnownIsWhatIsFoundThroughEvictionSaltsAndResets) {
  start(80, 0);
  ask_and_compare(150);
  EXPECT_GT(tracker_.statistics().sources[0].removed, 100u);
  EXPECT_GT(tracker_.statistics().sources[0].cleared, 0u);
}

TEST_F(KnownWorkerTest, WhatIsOnTheCpuCountsToo) {
  start(80, 200);
  ask_and_compare(150);
  EXPECT_GT(metric("vllm:external_prefix_cache_hits_total").value_or(0), 100);
}

// The worker publishes all the while, and each batch reaches the subscriber, by replay or live.
TEST_F(KnownWorkerTest, WhoSubscribesWhileItPublishesMissesNothing) {
  start(2000, 0);
  uint32_t expected = 0;
  for (int i = 0; i < 30; ++i) {
    const std::vector<uint32_t> prompt(17 + i * 16, 300);
    ASSERT_EQ(found(prompt, "", 400), expected);
    ASSERT_NO_FATAL_FAILURE(settle());
    expected = predicted(std::vector<uint32_t>(33 + i * 16, 300), "");
    EXPECT_EQ(expected, prompt.size() - 1);
    subscribe();
  }
}

}  // namespace
}  // namespace kvasir
