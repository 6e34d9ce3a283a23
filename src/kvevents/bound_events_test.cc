// Engines that connect to the feed by themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zmq.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/big_endian.h"
#include "base/guarded.h"
#include "kvevents/cache_tracker.h"
#include "kvevents/event_feed.h"
#include "kvevents/event_publisher_fixture.h"
#include "wire/kv_events/kv_event_encoder.h"

namespace kvasir {
namespace {

class Silence final : public KvEventProbe {
  void on_subscribed(const Endpoint&, uint32_t, bool) override {}
  void on_lost(const Endpoint&, uint32_t, std::string_view) override {}
  void on_restarted(const Endpoint&, uint32_t) override {}
  void on_recovered(const Endpoint&, uint32_t, uint64_t, KvFreshness) override {}
  void on_unnamed_publisher(std::string_view why) override {
    unnamed_.with([&](auto& all) { all.emplace_back(why); });
  }

 public:
  std::vector<std::string> unnamed() const {
    return unnamed_.with([](const auto& all) { return all; });
  }

 private:
  Guarded<std::vector<std::string>> unnamed_;
};

// Knows every pod but those called stranger.
class AllPods final : public KvPublishers {
 public:
  std::optional<std::pair<EndpointId, Endpoint>> find(std::string_view topic) override {
    return pods_.with([&](auto& pods) -> std::optional<std::pair<EndpointId, Endpoint>> {
      if (topic.find("stranger") != std::string_view::npos) return std::nullopt;
      const std::string name(topic);
      const auto found = pods.emplace(name, EndpointId{static_cast<uint32_t>(pods.size())}).first;
      return std::pair(found->second, Endpoint{name, name, 0});
    });
  }
  void on_json(std::string_view topic, std::string_view events) override {
    json_.with([&](std::string& all) { all += std::string(topic) + " " + std::string(events); });
  }
  std::string json() const {
    return json_.with([](const std::string& all) { return all; });
  }

 private:
  Guarded<std::map<std::string, EndpointId>> pods_;
  Guarded<std::string> json_;
};

class BoundEventsTest : public ::testing::Test {
 protected:
  ~BoundEventsTest() override {
    for (void* socket : sockets_) zmq_close(socket);
    zmq_ctx_term(context_);
  }
  void start() { start(tracker_); }
  void start(KvSourceTracker& tracker) {
    // A port that is free, as the test's own socket finds out.
    {
      EventPublisher free;
      options_.bind = free.events();
    }
    Result<std::unique_ptr<KvEventFeed>> feed{Error{}};
    for (int tries = 0; tries < 1000 && !feed; ++tries) {
      feed = KvEventFeed::start(options_, tracker, probe_);
      if (!feed) zmq_poll(nullptr, 0, 1);
    }
    ASSERT_TRUE(feed.ok()) << feed.error().message;
    feed_ = std::move(*feed);
  }
  // A PUB socket that connects to the feed.
  void* engine() {
    void* const socket = zmq_socket(context_, ZMQ_XPUB);
    const int linger = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    EXPECT_EQ(zmq_connect(socket, options_.bind.c_str()), 0);
    sockets_.push_back(socket);
    char subscription[64];
    zmq_recv(socket, subscription, sizeof subscription, 0);  // from now on it is heard
    return socket;
  }
  // Its process ends.
  void die(void* engine) {
    std::erase(sockets_, engine);
    zmq_close(engine);
  }
  std::optional<WordTracker::Source> pod(const std::string& name) const {
    for (const WordTracker::Source& source : tracker_.sources()) {
      if (source.name == name) return source;
    }
    return std::nullopt;
  }
  bool wait_for_freshness(const std::string& name, KvFreshness freshness) {
    return wait_for([&] { return pod(name) && pod(name)->freshness == freshness; });
  }
  static void send(void* socket, const std::vector<std::string>& frames) {
    for (size_t i = 0; i < frames.size(); ++i) {
      zmq_send(socket, frames[i].data(), frames[i].size(), i + 1 < frames.size() ? ZMQ_SNDMORE : 0);
    }
  }
  static void publish(void* socket, const std::string& topic, uint64_t number,
                      const std::string& batch) {
    send(socket, {topic, big_endian_bytes(number), batch});
  }
  bool wait_for(const std::function<bool()>& done) {
    for (int i = 0; i < 30'000; ++i) {
      if (done()) return true;
      zmq_poll(nullptr, 0, 1);
    }
    return false;
  }
  bool wait_for_blocks(size_t source, const BlockNames& blocks) {
    return wait_for([&] {
      const auto sources = tracker_.sources();
      return source < sources.size() && sources[source].blocks == blocks;
    });
  }

  KvEventFeedOptions options_;
  WordTracker tracker_;
  Silence probe_;
  AllPods pods_;
  void* const context_ = zmq_ctx_new();
  std::vector<void*> sockets_;
  std::unique_ptr<KvEventFeed> feed_;
};

TEST_F(BoundEventsTest, TopicsSayWhoseEventsTheyAre) {
  start();
  feed_->joined(EndpointId{0}, {"pod-a", "10.0.0.1", 8000});
  feed_->joined(EndpointId{1}, {"pod-b", "10.0.0.2", 8000});
  feed_->joined(EndpointId{2}, {"pod-c", "fd00::1", 8000});
  void* const one = engine();
  publish(one, "kv@pod-b@m", 0, "1 +b");
  publish(one, "kv@10.0.0.1:8000@m", 0, "1 +a");
  publish(one, "kv@[fd00::1]:8000@m", 0, "1 +c");
  publish(one, "kv@10.0.0.1:8001@m", 0, "1 +x");
  publish(one, "kv@10.0.0.9@m", 0, "1 +x");
  publish(one, "kv@10.0.0.1:8000@m", 1, "2 +a2");
  ASSERT_TRUE(wait_for_blocks(1, {"a", "a2"}));
  ASSERT_TRUE(wait_for_blocks(0, {"b"}));
  ASSERT_TRUE(wait_for_blocks(2, {"c"}));
  EXPECT_EQ(feed_->statistics().unknown_messages, 2u);
  EXPECT_EQ(tracker_.sources()[0].endpoint, EndpointId{1});
  EXPECT_EQ(tracker_.sources()[0].freshness, KvFreshness::kExact);
}

TEST_F(BoundEventsTest, PublishersNobodyKnewAreMadeOnFirstSight) {
  options_.publishers = &pods_;
  start();
  void* const one = engine();
  publish(one, "kv@new@m", 5, "1 +a");
  publish(one, "kv@stranger@m", 0, "1 +b");
  publish(one, "kv@new@m", 6, "2 +c");
  ASSERT_TRUE(wait_for_blocks(0, {"a", "c"}));
  EXPECT_EQ(tracker_.sources().front().freshness, KvFreshness::kIncomplete);
  EXPECT_EQ(feed_->statistics().unknown_messages, 1u);
  EXPECT_EQ(feed_->statistics().sources.front().address, "kv@new@m");
}

// Not "unnamed", nor a further rank of a pod whose host is not known either.
TEST_F(BoundEventsTest, WhoDoesNotSayWhoItIsIsRefusedAndTheRemedyIsToldOnce) {
  options_.publishers = &pods_;
  start();
  feed_->joined(EndpointId{99}, {"a", "", 0});
  void* const one = engine();
  publish(one, "kv@a@m", 0, "1 +a");
  for (const char* topic : {"", "kv@@m", ""}) publish(one, topic, 0, "2 +b");
  publish(one, "kv@a@m", 1, "3 +c");
  ASSERT_TRUE(wait_for_blocks(0, {"a", "c"}));
  EXPECT_EQ(tracker_.sources().size(), 1u);
  EXPECT_EQ(feed_->statistics().unknown_messages, 3u);
  ASSERT_EQ(probe_.unnamed().size(), 1u);
  EXPECT_THAT(probe_.unnamed().front(),
              testing::AllOf(testing::HasSubstr("--kv-events-config"),
                             testing::HasSubstr("\"topic\": \"kv@POD@MODEL\"")));
}

TEST_F(BoundEventsTest, ARestartAndAGapAreNoticedWithoutConnections) {
  options_.publishers = &pods_;
  start();
  void* const one = engine();
  publish(one, "kv@a@m", 0, "1 +a");
  publish(one, "kv@a@m", 1, "2 +b");
  ASSERT_TRUE(wait_for_blocks(0, {"a", "b"}));
  publish(engine(), "kv@a@m", 0, "3 +c");
  ASSERT_TRUE(wait_for_blocks(0, {"c"}));
  publish(one, "kv@a@m", 7, "4 +d");
  EXPECT_TRUE(
      wait_for([&] { return tracker_.sources().front().freshness == KvFreshness::kStale; }));
}

// A process that has ended says nothing, as one does that is idle: its connection tells them apart.
TEST_F(BoundEventsTest, WhoseConnectionEndsIsStaleUntilItIsHeardAgain) {
  options_.publishers = &pods_;
  start();
  void* const dies = engine();
  publish(dies, "kv@dies@m", 0, "1 +a");
  publish(engine(), "kv@idle@m", 0, "1 +b");
  ASSERT_TRUE(wait_for_freshness("kv@dies@m", KvFreshness::kExact));
  ASSERT_TRUE(wait_for_freshness("kv@idle@m", KvFreshness::kExact));
  EXPECT_EQ(feed_->statistics().active_subscribers(), 2u);
  EXPECT_EQ(pod("kv@dies@m")->connected, true);
  die(dies);
  ASSERT_TRUE(wait_for_freshness("kv@dies@m", KvFreshness::kStale));
  EXPECT_EQ(feed_->statistics().active_subscribers(), 1u);
  EXPECT_EQ(pod("kv@dies@m")->connected, false);
  EXPECT_EQ(pod("kv@idle@m")->freshness, KvFreshness::kExact);
  publish(engine(), "kv@dies@m", 0, "2 +c");  // another process
  ASSERT_TRUE(wait_for_freshness("kv@dies@m", KvFreshness::kExact));
  EXPECT_EQ(pod("kv@dies@m")->blocks, BlockNames{"c"});
  EXPECT_EQ(pod("kv@dies@m")->connected, true);
  EXPECT_EQ(feed_->statistics().active_subscribers(), 2u);
}

TEST_F(BoundEventsTest, AllThatCameByAConnectionThatEndsAreStale) {
  options_.publishers = &pods_;
  start();
  void* const proxy = engine();
  for (const char* topic : {"kv@a@m", "kv@b@m"}) publish(proxy, topic, 0, "1 +a");
  void* const moved_to = engine();
  ASSERT_TRUE(wait_for_freshness("kv@b@m", KvFreshness::kExact));
  publish(moved_to, "kv@b@m", 1, "2 +b");
  ASSERT_TRUE(wait_for([&] { return pod("kv@b@m")->blocks.size() == 2; }));
  die(proxy);
  ASSERT_TRUE(wait_for_freshness("kv@a@m", KvFreshness::kStale));
  EXPECT_EQ(pod("kv@b@m")->freshness, KvFreshness::kExact);
  die(moved_to);
  EXPECT_TRUE(wait_for_freshness("kv@b@m", KvFreshness::kStale));
}

// What it said last is still there to be read when its connection has gone.
TEST_F(BoundEventsTest, WhoEndsRightAfterItsFirstMessageIsStale) {
  options_.publishers = &pods_;
  start();
  for (int i = 0; i < 20; ++i) {
    const std::string topic = "kv@" + std::to_string(i) + "@m";
    void* const socket = zmq_socket(context_, ZMQ_XPUB);
    ASSERT_EQ(zmq_connect(socket, options_.bind.c_str()), 0);
    char subscription[64];
    zmq_recv(socket, subscription, sizeof subscription, 0);
    publish(socket, topic, 0, "1 +a");
    zmq_close(socket);  // when that was sent
    EXPECT_TRUE(wait_for_freshness(topic, KvFreshness::kStale)) << i;
  }
  EXPECT_EQ(feed_->statistics().active_subscribers(), 0u);
}

TEST_F(BoundEventsTest, AGapIsReplayedFromTheEngineWhenItsAddressIsKnown) {
  EventPublisher kept;
  for (const char* words : {"+a", "+b", "-a +c"}) kept.lose(words);
  options_.addresses.replay = "tcp://HOST" + kept.replay().substr(kept.replay().rfind(':'));
  start();
  feed_->joined(EndpointId{0}, {"pod-a", "127.0.0.1", 8000});
  const auto last = kept.engine().kept_from(2).front();
  publish(engine(), "kv@pod-a@m", last.first, last.second);
  ASSERT_TRUE(wait_for([&] {
    kept.serve();
    return !tracker_.sources().empty() &&
           tracker_.sources().front().freshness == KvFreshness::kExact;
  }));
  EXPECT_EQ(tracker_.sources().front().blocks, (BlockNames{"b", "c"}));
}

// A batch that stores one block that begins a sequence.
std::string stored(uint64_t name, uint32_t rank) {
  const std::vector<uint32_t> tokens(16, static_cast<uint32_t>(name));
  KvEventEncoder encoder;
  encoder.begin(1.0);
  encoder.stored({.block_hashes = {&name, 1}, .token_ids = tokens, .block_size = 16});
  return encoder.finish(rank);
}

// vLLM gives all data-parallel ranks the same topic, and each numbers its batches itself.
TEST_F(BoundEventsTest, RanksThatShareATopicAreToldApart) {
  CacheTracker tracker{CacheTrackerOptions{}};
  options_.publishers = &pods_;
  start(tracker);
  void* const ranks[] = {engine(), engine()};
  for (uint64_t number = 0; number < 3; ++number) {
    for (const uint32_t rank : {1u, 0u}) {
      publish(ranks[rank], "kv@pod@m", number, stored(10 * rank + number, rank));
    }
  }
  ASSERT_TRUE(wait_for([&] { return tracker.statistics().stored == 6; }));
  const CacheTrackerStatistics all = tracker.statistics();
  ASSERT_EQ(all.sources.size(), 2u);
  for (const KvSourceStatistics& source : all.sources) {
    EXPECT_EQ(source.endpoint, all.sources.front().endpoint);
    EXPECT_EQ(source.blocks, 3u);
    EXPECT_EQ(source.freshness, KvFreshness::kExact);
  }
  EXPECT_EQ(all.sources[0].rank + all.sources[1].rank, 1u) << "0 and 1";
  for (const KvFeedSourceStatistics& source : feed_->statistics().sources) {
    EXPECT_EQ(source.restarts, 0u);
  }
  feed_.reset();
}

TEST_F(BoundEventsTest, TopicsOfOnePodThatSayTheSameRankAreToldApart) {
  CacheTracker tracker{CacheTrackerOptions{}};
  start(tracker);
  feed_->joined(EndpointId{0}, {"pod", "10.0.0.1", 8000});
  void* const one = engine();
  for (uint64_t number = 0; number < 2; ++number) {
    publish(one, "kv@pod@m", number, stored(number, 0));
    publish(one, "kv@10.0.0.1@m", number, stored(10 + number, 0));
  }
  ASSERT_TRUE(wait_for([&] { return tracker.statistics().stored == 4; }));
  ASSERT_EQ(tracker.statistics().sources.size(), 2u);
  EXPECT_EQ(tracker.statistics().sources[1].blocks, 2u);
  feed_.reset();
}

TEST_F(BoundEventsTest, JsonGoesToWhoReadsIt) {
  options_.publishers = &pods_;
  start();
  void* const one = engine();
  send(one, {"{\"event_type\":\"BLOCK_CREATED\"}"});
  send(one, {"topic", "[]"});
  ASSERT_TRUE(wait_for([&] { return feed_->statistics().json_messages == 2; }));
  EXPECT_EQ(pods_.json(), " {\"event_type\":\"BLOCK_CREATED\"}topic []");
}

TEST_F(BoundEventsTest, WhatCannotBeReadIsCounted) {
  start();
  void* const one = engine();
  send(one, {"x"});
  send(one, {"a", "b", "c"});
  send(one, std::vector<std::string>(100, "x"));
  EXPECT_TRUE(wait_for([&] { return feed_->statistics().faulty_messages == 3; }));
}

TEST_F(BoundEventsTest, MessagesAreHeldUntilSomebodySaysWhatIsKnown) {
  options_.publishers = &pods_;
  options_.hold = true;
  start();
  void* const one = engine();
  for (uint64_t number = 3; number < 6; ++number) {
    publish(one, "kv@a@m", number, "1 +" + std::to_string(number));
  }
  publish(one, "kv@b@m", 0, "1 +b");
  send(one, {"{\"event_type\":\"BLOCK_CREATED\"}"});
  ASSERT_TRUE(wait_for([&] { return feed_->statistics().json_messages == 1; }));
  EXPECT_TRUE(tracker_.sources().empty());
  Guarded<std::vector<size_t>> seen;
  for (const bool over : {false, true, true}) {
    feed_->look_at_held([&seen, over](HeldMessages* held) {
      seen.with([&](auto& all) { all.push_back(held == nullptr ? 0 : held->publishers().size()); });
      if (over && held != nullptr) held->publishers()[{"kv@a@m", 0}].begin_with(4);
      return over;
    });
  }
  ASSERT_TRUE(wait_for_blocks(0, {"4", "5"}));
  ASSERT_TRUE(wait_for_blocks(1, {"b"}));
  publish(one, "kv@a@m", 6, "1 +6");
  ASSERT_TRUE(wait_for_blocks(0, {"4", "5", "6"}));
  EXPECT_EQ(seen.with([](const auto& all) { return all; }), (std::vector<size_t>{2, 2, 0}));
}

TEST_F(BoundEventsTest, WhatFindsNoRoomEndsTheHolding) {
  options_.publishers = &pods_;
  options_.hold = true;
  options_.waiting_bytes_max = 3 * HeldMessages::kOverhead;
  start();
  void* const one = engine();
  for (uint64_t number = 0; number < 5; ++number) {
    publish(one, "kv@a@m", number, "1 +" + std::to_string(number));
  }
  EXPECT_TRUE(wait_for_blocks(0, {"0", "1", "2", "3", "4"}));
}

TEST_F(BoundEventsTest, AnEndpointThatLeftIsAStranger) {
  start();
  feed_->joined(EndpointId{0}, {"pod-a", "10.0.0.1", 8000});
  void* const one = engine();
  publish(one, "kv@pod-a@m", 0, "1 +a");
  ASSERT_TRUE(wait_for_blocks(0, {"a"}));
  feed_->left(EndpointId{0});
  ASSERT_TRUE(wait_for([&] { return tracker_.sources().empty(); }));
  publish(one, "kv@pod-a@m", 1, "2 +b");
  EXPECT_TRUE(wait_for([&] { return feed_->statistics().unknown_messages == 1; }));
  EXPECT_EQ(tracker_.misuses(), 0u);
}

TEST_F(BoundEventsTest, ATopicThatNamesNobodyIsToldOnceAndSoManyAtMost) {
  start();
  feed_->joined(EndpointId{0}, {"pod-a", "10.0.0.1", 8000});
  void* const one = engine();
  for (uint64_t i = 0; i < 3; ++i) publish(one, "kv@wrong@m", i, "1 +a");
  ASSERT_TRUE(wait_for([&] { return feed_->statistics().unknown_messages == 3; }));
  ASSERT_EQ(probe_.unnamed().size(), 1u);
  EXPECT_THAT(probe_.unnamed().front(),
              testing::HasSubstr("the topic 'kv@wrong@m' of KV events names no"));
  EXPECT_THAT(probe_.unnamed().front(), testing::HasSubstr("'pod-a' at 10.0.0.1:8000"));
  for (int i = 0; i < 100; ++i) {
    publish(one, "kv@stranger-" + std::to_string(i) + "@m", 0, "1 +a");
  }
  ASSERT_TRUE(wait_for([&] { return feed_->statistics().unknown_messages == 103; }));
  EXPECT_EQ(probe_.unnamed().size(), 64u);
}

}  // namespace
}  // namespace kvasir
