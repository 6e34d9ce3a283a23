#include "serving/kv_knowledge.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/big_endian.h"
#include "base/guarded.h"
#include "kvevents/event_publisher_fixture.h"
#include "net/io/event_loop.h"
#include "serving/journey_fixture.h"
#include "serving/pool.h"
#include "serving/pool_thread.h"
#include "wire/kv_events/kv_event_encoder.h"

namespace kvasir {
namespace {

class QuietPoolProbe : public PoolProbe {
 public:
  void on_health_changed(const Endpoint&, bool) override {}
  void on_picked(const PickReport& report) override {
    cached_tokens = report.decision.cached_tokens;
  }

  uint32_t cached_tokens = 0;  // of the last pick
};

class NewsPoolProbe final : public QuietPoolProbe {
 public:
  void on_kv_news(const Endpoint& of, uint32_t, KvNews news, std::string_view text) override {
    told_.with([&](std::map<KvNews, std::string>& told) {
      told.emplace(news, of.name + ": " + std::string(text));
    });
  }
  std::string told(KvNews news) const {
    return told_.with([&](const std::map<KvNews, std::string>& told) {
      const auto found = told.find(news);
      return found == told.end() ? "" : found->second;
    });
  }

 private:
  Guarded<std::map<KvNews, std::string>> told_;
};

bool wait_for(const std::function<bool()>& done) {
  for (int i = 0; i < 10'000; ++i) {
    if (done()) return true;
    zmq_poll(nullptr, 0, 1);
  }
  return false;
}

// What is said of an engine of whose three batches the second one was lost for good.
KvFreshness freshness_after_a_loss(KvGapPolicy gap) {
  EventPublisher publisher;
  QuietPoolProbe probe;
  KvKnowledgeOptions options;
  options.gap = gap;
  KvKnowledge knowledge(options, 4, probe, [](EndpointId) {});
  KvPlaces places;
  places.addresses.events = publisher.events();
  EXPECT_TRUE(knowledge.listen(places).ok());
  knowledge.joined(EndpointId{0}, {"pod", "127.0.0.1", 8000});
  const auto source = [&] {
    const KvStatistics now = knowledge.statistics();
    return now.feed->sources.empty() ? KvFeedSourceStatistics() : now.feed->sources[0];
  };
  EXPECT_TRUE(wait_for([&] {
    publisher.send({"topic", "no number", "x"});
    return source().errors[static_cast<size_t>(KvFeedOperation::kFrames)] > 0;
  })) << "the subscription does not reach the publisher";
  KvEventEncoder encoder;
  for (const uint64_t number : {0, 2}) {
    encoder.begin(1.5);
    publisher.send({"topic", big_endian_bytes(number), encoder.finish(0)});
  }
  EXPECT_TRUE(wait_for([&] { return source().batches == 2; }));
  EXPECT_EQ(source().lost_batches, 1u);
  wait_for([&] { return source().freshness != KvFreshness::kExact; });
  return source().freshness;
}

TEST(KvKnowledge, ALossForGoodIsTreatedAsTheOptionsSay) {
  EXPECT_EQ(freshness_after_a_loss(KvGapPolicy::kStale), KvFreshness::kStale);
  EXPECT_EQ(freshness_after_a_loss(KvGapPolicy::kForget), KvFreshness::kIncomplete);
}

// Its events say nothing of the prompt: it is a text whose tokens nobody knows.
TEST(KvKnowledge, WhatWasGuessedOfAnEngineIsForgottenWhenItSaysThatItsCacheIsEmpty) {
  EventPublisher publisher;
  QuietPoolProbe probe;
  PoolOptions options;
  options.policy = "kv";
  options.plugins.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
  options.feeds.endpoints = {{"pod", "127.0.0.1", 8000, {}}};
  options.kv.listen = KvKnowledgeOptions::Listen::kAlways;
  options.kv.addresses.events = publisher.events();
  const std::unique_ptr<EventLoop> loop = std::move(EventLoop::create().value());
  const std::unique_ptr<Pool> pool = std::move(Pool::open(*loop, options, probe).value());
  ASSERT_TRUE(pool->feed(*loop).ok());
  pool->fleet().set_healthy(EndpointId(0), true);
  PoolThread thread(*pool, *loop, 0);
  const auto cached_tokens = [&] {
    JourneyClient client(thread);
    client.start(std::string(8000, 'x'));
    return probe.cached_tokens;
  };
  EXPECT_EQ(cached_tokens(), 0u);
  EXPECT_GT(cached_tokens(), 1000u);
  KvEventEncoder encoder;
  const auto publish = [&](uint64_t number, double time, bool cleared = false) {
    encoder.begin(time);
    if (cleared) encoder.all_cleared();
    publisher.send({"topic", big_endian_bytes(number), encoder.finish(0)});
  };
  ASSERT_TRUE(wait_for([&] {
    publish(0, 1.5);  // again and again: it counts once
    const std::vector<KvFeedSourceStatistics> sources = pool->stats().kv->feed->sources;
    return !sources.empty() && sources[0].batches == 1;
  }));
  EXPECT_GT(cached_tokens(), 1000u);
  publish(0, 2.5);  // it began anew
  EXPECT_TRUE(wait_for([&] { return cached_tokens() == 0; }));
  EXPECT_GT(cached_tokens(), 1000u);
  publish(1, 3.5, true);
  EXPECT_TRUE(wait_for([&] { return cached_tokens() == 0; }));
  EXPECT_GT(cached_tokens(), 1000u);
}

TEST(KvKnowledge, WhoDoesNotAnswerAndWhatCannotBeReadAreNews) {
  EventPublisher there;
  EventPublisher missing;
  missing.close();
  ASSERT_TRUE(wait_for([&] { return refuses_connections(missing.events()); }));
  NewsPoolProbe probe;
  KvKnowledgeOptions options;
  options.unreached_after = std::chrono::milliseconds(20);
  KvKnowledge knowledge(options, 4, probe, [](EndpointId) {});
  KvPlaces places;
  places.addresses.events = missing.events();
  ASSERT_TRUE(knowledge.listen(places).ok());
  knowledge.joined(EndpointId{0}, {"pod", "127.0.0.1", 8000});
  EXPECT_TRUE(wait_for([&] { return !probe.told(KvNews::kUnreached).empty(); }));
  EXPECT_EQ(probe.told(KvNews::kUnreached), "pod: " + missing.events());
  places.addresses.events = there.events();
  ASSERT_TRUE(knowledge.listen(places).ok());
  EXPECT_TRUE(wait_for([&] {
    there.send({"topic", "no number", "x"});
    return !probe.told(KvNews::kUnreadable).empty();
  }));
  EXPECT_EQ(probe.told(KvNews::kUnreadable), "pod: its number has 9 bytes instead of 8");
}

}  // namespace
}  // namespace kvasir
