// The feed with real sockets.
#include "kvevents/event_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/big_endian.h"
#include "base/guarded.h"
#include "kvevents/event_publisher_fixture.h"
#include "kvevents/source_tracker_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

class Reports final : public KvEventProbe {
 public:
  void on_subscribed(const Endpoint& of, uint32_t rank, bool replays) override {
    add(replays ? "subscribed" : "subscribed without replays", of, rank);
  }
  void on_lost(const Endpoint& of, uint32_t rank, std::string_view) override {
    add("lost", of, rank);
  }
  void on_restarted(const Endpoint& of, uint32_t rank) override { add("restarted", of, rank); }
  void on_recovered(const Endpoint& of, uint32_t rank, uint64_t, KvFreshness now) override {
    add(now == KvFreshness::kExact ? "recovered" : "recovered in part", of, rank);
  }
  void on_given_up(const Endpoint& of, uint32_t rank, std::string_view why, KvFreshness) override {
    add("given up", of, rank);
    why_.with([&](std::string& all) { all = why; });
  }
  std::string why_given_up() const {
    return why_.with([](const std::string& why) { return why; });
  }
  void on_refused(const Endpoint& of, uint32_t rank, std::string_view why) override {
    add("refused: " + std::string(why) + ":", of, rank);
  }
  void on_unreadable(std::string_view of, std::string_view why) override {
    said_.with([&](std::string& said) {
      said += "unreadable of " + std::string(of) + ": " + std::string(why) + "\n";
    });
  }
  void on_unreached(const Endpoint& of, uint32_t rank, std::string_view address,
                    bool answered) override {
    add(std::string(answered ? "no events" : "unreached") + " at " + std::string(address) + ":", of,
        rank);
  }
  std::string all() const {
    return said_.with([](const std::string& said) { return said; });
  }

 private:
  void add(const std::string& what, const Endpoint& of, uint32_t rank) {
    said_.with([&](std::string& said) {
      said += what + " " + of.name + "/" + std::to_string(rank) + "\n";
    });
  }
  Guarded<std::string> said_;
  Guarded<std::string> why_;
};

class EventFeedTest : public ::testing::Test {
 protected:
  EventFeedTest() {
    options_.reconnect_first = milliseconds(10);
    options_.reconnect_max = milliseconds(50);
    options_.stream.replay_spacing = milliseconds(1);
  }
  void start() {
    auto feed = KvEventFeed::start(options_, tracker_, reports_);
    ASSERT_TRUE(feed.ok()) << feed.error().message;
    feed_ = std::move(*feed);
  }
  EventPublisher& publisher(const std::string& host = "127.0.0.1", int unsent_max = 1000) {
    publishers_.push_back(std::make_unique<EventPublisher>(host, unsent_max));
    return *publishers_.back();
  }
  void join(const EventPublisher& of, uint32_t id = 0, bool replay = true,
            const std::string& topic = "") {
    KvEventAddresses addresses;
    addresses.events = of.events();
    addresses.topic = topic;
    if (replay) addresses.replay = of.replay();
    feed_->joined(EndpointId{id}, endpoint(id), addresses);
  }
  static Endpoint endpoint(uint32_t id) {
    return {"pod-" + std::to_string(id), "127.0.0.1", static_cast<uint16_t>(8000 + id)};
  }
  // Serves replays until `done`.
  bool wait_for(const std::function<bool()>& done) {
    for (int i = 0; i < 30'000; ++i) {
      for (const auto& publisher : publishers_) publisher->serve();
      if (done()) return true;
      zmq_poll(nullptr, 0, 1);
    }
    return false;
  }
  bool wait_until_exact(const EventPublisher& of, size_t source = 0) {
    return wait_for([&] {
      const auto sources = tracker_.sources();
      return source < sources.size() && sources[source].freshness == KvFreshness::kExact &&
             sources[source].blocks == of.engine().blocks();
    });
  }
  KvFeedSourceStatistics statistics(size_t source = 0) const {
    const KvEventFeedStatistics all = feed_->statistics();
    return source < all.sources.size() ? all.sources[source] : KvFeedSourceStatistics{};
  }
  uint64_t errors(KvFeedOperation operation) const {
    return statistics().errors[static_cast<size_t>(operation)];
  }
  bool wait_until_freshness(KvFreshness freshness) {
    return wait_for([&] { return statistics().freshness == freshness; });
  }
  // A slow joiner: nobody can say when a subscription has reached a publisher.
  bool publish_until_heard(EventPublisher& of) {
    return wait_for([&] {
      of.publish("+heard");
      return statistics().messages > 0;
    });
  }

  KvEventFeedOptions options_;
  WordTracker tracker_;
  Reports reports_;
  std::vector<std::unique_ptr<EventPublisher>> publishers_;
  std::unique_ptr<KvEventFeed> feed_;
};

TEST_F(EventFeedTest, WhatWasPublishedBeforeAndWhatIsPublishedNowIsKnown) {
  EventPublisher& of = publisher();
  of.lose("+a"), of.lose("+b");
  start();
  join(of);
  ASSERT_TRUE(wait_until_exact(of));
  of.publish("-a +c");
  of.publish("+d");
  ASSERT_TRUE(wait_until_exact(of));
  EXPECT_TRUE(wait_for([&] { return statistics().next_number == 4; }));
  EXPECT_TRUE(statistics().connected);
  EXPECT_EQ(statistics().restarts, 0u);
  EXPECT_EQ(statistics().address, of.events());
  EXPECT_EQ(feed_->statistics().active_subscribers(), 1u);
  EXPECT_THAT(reports_.all(), HasSubstr("subscribed pod-0/0\nrecovered pod-0/0\n"));
}

TEST_F(EventFeedTest, ReplaysOfEveryShapeAreRead) {
  using Replays = EventPublisher::Replays;
  start();
  uint32_t id = 0;
  for (const Replays shape : {Replays::kAsNow, Replays::kWithoutTopic, Replays::kAsTheSimulator}) {
    EventPublisher& of = publisher();
    of.set_replays(shape);
    of.lose("+a"), of.lose("+b" + std::to_string(id));
    join(of, id);
    EXPECT_TRUE(wait_until_exact(of, id)) << id;
    ++id;
  }
}

// --- A subscription to some topics only ---

TEST_F(EventFeedTest, WhatIsReplayedUnderATopicThatIsNotHeardIsNotBelieved) {
  start();
  uint32_t id = 0;
  for (const char* topic : {"", "kv", "other@pod@model"}) {
    EventPublisher& of = publisher();
    of.set_topic(topic);
    of.lose("+a");
    join(of, id, true, "kv@");
    const std::string told = "refused: replayed batches have the topic '" + std::string(topic) +
                             "', the filter is 'kv@': nothing will be heard: pod-" +
                             std::to_string(id);
    const auto times_told = [&] {
      const std::string all = reports_.all();
      size_t times = 0;
      for (size_t at = 0; (at = all.find(told, at)) != std::string::npos; ++at) ++times;
      return times;
    };
    ASSERT_TRUE(wait_for([&] { return times_told() == 1; })) << reports_.all();
    ASSERT_TRUE(wait_for([&] { return !statistics(id).replaying; }));
    of.drop_connections();
    ASSERT_TRUE(wait_for([&] { return statistics(id).replays_failed == 2; }));
    EXPECT_EQ(times_told(), 1u);
    EXPECT_EQ(statistics(id).freshness, KvFreshness::kNothingYet);
    EXPECT_TRUE(tracker_.sources()[id].blocks.empty());
    ++id;
  }
}

TEST_F(EventFeedTest, WhatIsReplayedUnderATopicThatIsHeardIsExact) {
  start();
  EventPublisher& of = publisher();
  of.lose("+a");
  join(of, 0, true, "kv@pod");
  EXPECT_TRUE(wait_until_exact(of));
}

TEST_F(EventFeedTest, AReplayThatSaysNoTopicIsBelievedOnceALiveBatchPassedTheFilter) {
  start();
  EventPublisher& of = publisher();
  of.set_replays(EventPublisher::Replays::kWithoutTopic);
  of.lose("+a");
  join(of, 0, true, "kv@");
  ASSERT_TRUE(wait_for([&] { return statistics().next_number == 1 && !statistics().replaying; }));
  EXPECT_EQ(statistics().freshness, KvFreshness::kNothingYet);
  ASSERT_TRUE(publish_until_heard(of));
  EXPECT_TRUE(wait_until_exact(of));
}

TEST_F(EventFeedTest, WhatTheSubscriptionMissesIsReplayed) {
  EventPublisher& of = publisher();
  start();
  join(of);
  ASSERT_TRUE(wait_until_exact(of));
  ASSERT_TRUE(publish_until_heard(of));
  ASSERT_TRUE(wait_until_exact(of));
  const uint64_t gaps = statistics().gaps;
  for (int i = 0; i < 5; ++i) of.lose("+lost" + std::to_string(i));
  of.publish("-heard +last");
  ASSERT_TRUE(wait_until_exact(of));
  EXPECT_EQ(statistics().gaps, gaps + 1);
  EXPECT_EQ(statistics().holes, 0u);
}

TEST_F(EventFeedTest, APublisherThatRestartsIsReadFromItsFirstBatchOn) {
  EventPublisher& of = publisher();
  start();
  join(of);
  for (int i = 0; i < 10; ++i) of.publish("+old" + std::to_string(i));
  ASSERT_TRUE(wait_until_exact(of));
  of.restart();
  of.publish("+new");
  ASSERT_TRUE(wait_until_exact(of));
  EXPECT_EQ(tracker_.sources().front().blocks, BlockNames{"new"});
  EXPECT_EQ(statistics().restarts, 1u);
  EXPECT_GE(statistics().connections, 2u);
  EXPECT_THAT(reports_.all(), HasSubstr("lost pod-0/0\nsubscribed pod-0/0\nrestarted pod-0/0\n"));
}

TEST_F(EventFeedTest, ALostConnectionIsStaleUntilItIsBack) {
  EventPublisher& of = publisher();
  start();
  join(of);
  of.publish("+a");
  ASSERT_TRUE(wait_until_exact(of));
  of.close();
  ASSERT_TRUE(wait_until_freshness(KvFreshness::kStale));
  EXPECT_EQ(feed_->statistics().stale_sources(), 1u);
  EXPECT_EQ(feed_->statistics().active_subscribers(), 0u);
  EXPECT_EQ(tracker_.sources().front().blocks, BlockNames{"a"}) << "kept";
  of.lose("+b");
  of.open();
  ASSERT_TRUE(wait_until_exact(of));
  EXPECT_EQ(statistics().restarts, 0u);
  EXPECT_EQ(tracker_.sources().front().cleared, 0u);
}

TEST_F(EventFeedTest, WithoutAReplayAddressItIsIncompleteOrStale) {
  EventPublisher& of = publisher();
  start();
  of.lose("+before");
  join(of, 0, false);
  ASSERT_TRUE(wait_for([&] { return statistics().connected; }));
  ASSERT_TRUE(publish_until_heard(of));
  EXPECT_TRUE(wait_until_freshness(KvFreshness::kIncomplete));
  of.lose("+lost");
  of.publish("+b");
  EXPECT_TRUE(wait_until_freshness(KvFreshness::kStale));
  of.publish("! +c");
  EXPECT_TRUE(wait_until_exact(of));
  EXPECT_EQ(of.requests(), 0u);
}

TEST_F(EventFeedTest, EventsOfAnEndpointThatLeftTouchNobody) {
  EventPublisher& of = publisher();
  start();
  join(of);
  of.publish("+a");
  ASSERT_TRUE(wait_until_exact(of));
  for (int i = 0; i < 1000; ++i) of.publish("+b" + std::to_string(i));
  feed_->left(EndpointId{0});
  for (int i = 0; i < 1000; ++i) of.publish("+c" + std::to_string(i));
  ASSERT_TRUE(wait_for([&] { return tracker_.sources().empty(); }));
  EXPECT_TRUE(feed_->statistics().sources.empty());
  // Another under its id.
  EventPublisher& other = publisher();
  other.lose("+d");
  join(other);
  ASSERT_TRUE(wait_until_exact(other));
  EXPECT_EQ(tracker_.misuses(), 0u);
}

TEST_F(EventFeedTest, JoiningTwiceChangesNothing) {
  EventPublisher& of = publisher();
  start();
  join(of);
  of.publish("+a");
  ASSERT_TRUE(wait_until_exact(of));
  join(of);
  of.publish("+b");
  ASSERT_TRUE(wait_until_exact(of));
  EXPECT_EQ(statistics().connections, 1u);
}

TEST_F(EventFeedTest, LeavingDuringAReplayEndsIt) {
  EventPublisher& of = publisher();
  of.set_replays(EventPublisher::Replays::kWithoutEnd);
  for (int i = 0; i < 1000; ++i) of.lose("+a");
  start();
  join(of);
  ASSERT_TRUE(wait_for([&] { return statistics().replayed_batches > 0; }));
  feed_->left(EndpointId{0});
  ASSERT_TRUE(wait_for([&] { return tracker_.sources().empty(); }));
  EXPECT_EQ(tracker_.misuses(), 0u);
}

TEST_F(EventFeedTest, AFeedThatEndsLeavesNothingInTheTracker) {
  EventPublisher& of = publisher();
  start();
  join(of);
  of.publish("+a");
  ASSERT_TRUE(wait_until_exact(of));
  feed_.reset();
  EXPECT_TRUE(tracker_.sources().empty());
  EXPECT_EQ(tracker_.misuses(), 0u);
}

TEST_F(EventFeedTest, AResetByWayOfUsEmptiesAllRanks) {
  EventPublisher& of = publisher();
  start();
  join(of);
  of.publish("+a");
  ASSERT_TRUE(wait_until_exact(of));
  feed_->was_reset(EndpointId{0});
  EXPECT_TRUE(wait_for([&] { return tracker_.sources().front().blocks.empty(); }));
  feed_->was_reset(EndpointId{77});
}

TEST_F(EventFeedTest, WorkOfOthersRunsOnItsThread) {
  start();
  Guarded<int> ran(0);
  feed_->post([&] { ran.with([](int& count) { ++count; }); });
  EXPECT_TRUE(wait_for([&] { return ran.with([](int& count) { return count == 1; }); }));
}

TEST_F(EventFeedTest, EachRankIsASourceOfItsOwn) {
  // Two publishers on ports next to each other.
  start();
  KvEventAddresses addresses;
  addresses.events = "tcp://HOST:1";
  addresses.ranks = 3;
  feed_->joined(EndpointId{5}, endpoint(5), addresses);
  ASSERT_TRUE(wait_for([&] { return feed_->statistics().sources.size() == 3; }));
  EXPECT_EQ(statistics(0).address, "tcp://127.0.0.1:1");
  EXPECT_EQ(statistics(2).address, "tcp://127.0.0.1:3");
  EXPECT_EQ(statistics(2).rank, 2u);
  EXPECT_TRUE(wait_for([&] { return errors(KvFeedOperation::kConnect) > 1; }));
}

bool has_ipv6() {
  void* const context = zmq_ctx_new();
  void* const socket = zmq_socket(context, ZMQ_PUB);
  const int on = 1;
  zmq_setsockopt(socket, ZMQ_IPV6, &on, sizeof on);
  const bool bound = zmq_bind(socket, "tcp://[::1]:*") == 0;
  zmq_close(socket);
  zmq_ctx_term(context);
  return bound;
}

TEST_F(EventFeedTest, NamesAndIPv6AddressesAreConnectedTo) {
  if (!has_ipv6()) GTEST_SKIP() << "no IPv6 on this machine";
  EventPublisher& six = publisher("[::1]");
  EventPublisher& four = publisher();
  start();
  six.lose("+a"), four.lose("+b");
  join(six, 0);
  KvEventAddresses addresses;
  const auto port_of = [](const std::string& address) {
    return address.substr(address.rfind(':'));
  };
  addresses.events = "tcp://HOST" + port_of(four.events());
  addresses.replay = "tcp://HOST" + port_of(four.replay());
  feed_->joined(EndpointId{1}, {"four", "localhost", 80}, addresses);
  EXPECT_TRUE(wait_until_exact(six, 0));
  EXPECT_TRUE(wait_until_exact(four, 1));
}

TEST_F(EventFeedTest, ManySourcesAtOnce) {
  constexpr uint32_t kSources = 200;
  options_.replays_max = 8;
  start();
  for (uint32_t id = 0; id < kSources; ++id) {
    EventPublisher& of = publisher();
    for (int i = 0; i < 3; ++i) of.lose("+" + std::to_string(id) + "-" + std::to_string(i));
    join(of, id);
  }
  for (uint32_t id = 0; id < kSources; ++id) ASSERT_TRUE(wait_until_exact(*publishers_[id], id));
  for (const auto& of : publishers_) of->publish("+live");
  for (uint32_t id = 0; id < kSources; ++id) ASSERT_TRUE(wait_until_exact(*publishers_[id], id));
  EXPECT_EQ(feed_->statistics().active_subscribers(), kSources);
}

// --- Refusals ---

TEST_F(EventFeedTest, AnAddressThatIsNoneIsRefusedAtStart) {
  for (const char* pattern : {"HOST:5557", "tcp://HOST", "tcp://*:5557", "udp://HOST:1", ""}) {
    options_.addresses.events = pattern;
    EXPECT_FALSE(KvEventFeed::start(options_, tracker_, reports_).ok()) << pattern;
  }
  options_.addresses.events = "tcp://HOST:5557";
  options_.addresses.replay = "tcp://HOST:0";
  const auto feed = KvEventFeed::start(options_, tracker_, reports_);
  ASSERT_FALSE(feed.ok());
  EXPECT_THAT(feed.error().message, HasSubstr("tcp://host:0"));
  options_.addresses.replay.clear();
  options_.bind = "tcp://127.0.0.1:99999";
  const auto bound = KvEventFeed::start(options_, tracker_, reports_);
  ASSERT_FALSE(bound.ok());
  EXPECT_THAT(bound.error().message, HasSubstr("from 1 to 65535"));
}

TEST_F(EventFeedTest, ABoundAddressInUseIsRefusedAtStart) {
  EventPublisher& other = publisher();
  options_.bind = other.events();
  const auto feed = KvEventFeed::start(options_, tracker_, reports_);
  ASSERT_FALSE(feed.ok());
  EXPECT_THAT(feed.error().message, HasSubstr("cannot listen on " + other.events()));
}

TEST_F(EventFeedTest, MoreSourcesThanThereMayBeAreRefused) {
  options_.sources_max = 2;
  start();
  for (uint32_t id = 0; id < 3; ++id) join(publisher(), id);
  ASSERT_TRUE(wait_for([&] { return feed_->statistics().refused_sources == 1; }));
  EXPECT_EQ(feed_->statistics().sources.size(), 2u);
  EXPECT_THAT(reports_.all(), HasSubstr("refused: there are as many sources as there may be (2)"));
  feed_->left(EndpointId{0});
  join(publisher(), 3);
  EXPECT_TRUE(wait_for([&] { return feed_->statistics().sources.size() == 2; }));
}

TEST_F(EventFeedTest, AnAddressOfTwoEndpointsIsTheFirstOnes) {
  EventPublisher& of = publisher();
  of.lose("+a");
  start();
  for (uint32_t id = 0; id < 3; ++id) join(of, id);
  ASSERT_TRUE(wait_until_exact(of));
  ASSERT_TRUE(wait_for([&] { return feed_->statistics().refused_sources == 2; }));
  EXPECT_EQ(tracker_.sources().size(), 1u);
  EXPECT_EQ(tracker_.sources().front().endpoint, EndpointId{0});
  EXPECT_THAT(reports_.all(), HasSubstr("refused: " + of.events() +
                                        " is already the address of the events of pod-0"));
  EXPECT_THAT(reports_.all(), Not(HasSubstr(": pod-2/0"))) << "told once";
  feed_->left(EndpointId{0});
  ASSERT_TRUE(wait_for([&] {
    const auto sources = tracker_.sources();
    return sources.size() == 1 && sources.front().endpoint == EndpointId{1};
  }));
  EXPECT_TRUE(wait_until_exact(of));
}

// --- Hostile publishers ---

TEST_F(EventFeedTest, MessagesOfAnyFramesAreCountedAndSurvived) {
  EventPublisher& of = publisher();
  start();
  join(of);
  of.publish("+a");
  ASSERT_TRUE(wait_until_exact(of));
  ASSERT_TRUE(publish_until_heard(of));
  const std::string number = big_endian_bytes(1);
  const std::vector<std::vector<std::string>> messages = {
      {""},
      {"topic"},
      {"topic", "batch"},
      {"topic", "short", "batch"},
      {"topic", number, ""},
      {"topic", big_endian_bytes(UINT64_MAX), "batch"},
      {number + "1", "batch"},
      {"{\"event_type\":1}"},
      {"topic", "[1]"},
      std::vector<std::string>(9, "x"),
      std::vector<std::string>(5000, "x")};
  for (const auto& message : messages) of.send(message);
  EXPECT_TRUE(wait_for([&] { return errors(KvFeedOperation::kFrames) == messages.size(); }));
  of.publish("+b");
  EXPECT_TRUE(wait_until_exact(of));
}

TEST_F(EventFeedTest, ABatchThatCannotBeReadMakesItStale) {
  EventPublisher& of = publisher();
  start();
  join(of);
  of.publish("+a");
  ASSERT_TRUE(wait_until_exact(of));
  of.publish("? +b");
  EXPECT_TRUE(wait_until_freshness(KvFreshness::kStale));
  EXPECT_EQ(statistics().faulty, 1u);
  of.publish("! +c");
  EXPECT_TRUE(wait_until_exact(of));
}

TEST_F(EventFeedTest, AMessageThatIsTooLargeCutsTheConnection) {
  options_.message_bytes_max = 1000;
  EventPublisher& of = publisher();
  start();
  join(of);
  of.publish("+a");
  ASSERT_TRUE(wait_until_exact(of));
  ASSERT_TRUE(publish_until_heard(of));
  of.send({"topic", big_endian_bytes(7), std::string(2000, 'x')});
  ASSERT_TRUE(wait_for([&] { return statistics().connections >= 2; }));
  EXPECT_TRUE(wait_until_exact(of));
}

// Its address for replays, or any port where something else listens.
TEST_F(EventFeedTest, WhoAnswersWithoutPublishingIsTold) {
  options_.unreached_after = milliseconds(500);
  EventPublisher& of = publisher();
  start();
  KvEventAddresses swapped;
  swapped.events = of.replay();
  swapped.replay = of.events();
  feed_->joined(EndpointId{0}, endpoint(0), swapped);
  const std::string told = "no events at " + of.replay() + ": pod-0/0\n";
  EXPECT_TRUE(wait_for([&] { return reports_.all().find(told) != std::string::npos; }))
      << reports_.all();
  EXPECT_THAT(reports_.all(), Not(HasSubstr("unreached")));
}

TEST_F(EventFeedTest, ASubscriptionSaysWhetherThereAreReplays) {
  EventPublisher& of = publisher();
  start();
  join(of, 0, false);
  EXPECT_TRUE(wait_for([&] { return !reports_.all().empty(); }));
  EXPECT_EQ(reports_.all(), "subscribed without replays pod-0/0\n");
}

TEST_F(EventFeedTest, AnEngineThatIsNotThereIsToldOfOnce) {
  options_.unreached_after = milliseconds(20);
  EventPublisher& there = publisher();
  EventPublisher& missing = publisher();
  missing.close();
  ASSERT_TRUE(wait_for([&] { return refuses_connections(missing.events()); }));
  start();
  join(there, 0);
  ASSERT_TRUE(wait_until_exact(there));
  join(missing, 1);
  const std::string told = "unreached at " + missing.events() + ": pod-1/0\n";
  ASSERT_TRUE(wait_for([&] { return reports_.all().find(told) != std::string::npos; }));
  EXPECT_FALSE(tracker_.sources().at(1).connected.value());
  missing.open();
  ASSERT_TRUE(wait_until_exact(missing, 1));
  EXPECT_TRUE(tracker_.sources().at(1).connected.value());
  EXPECT_EQ(reports_.all().find("unreached"), reports_.all().rfind("unreached"));
}

TEST_F(EventFeedTest, WhatIsNoMessageOfEventsIsToldAndCounted) {
  EventPublisher& of = publisher();
  start();
  join(of);
  ASSERT_TRUE(publish_until_heard(of));
  EXPECT_EQ(tracker_.sources().at(0).topic, "kv@pod@model");
  of.send({"topic", "number", "batch"});
  of.send({"topic", "[{}]"});
  ASSERT_TRUE(wait_for([&] { return errors(KvFeedOperation::kFrames) == 2; }));
  EXPECT_THAT(reports_.all(),
              HasSubstr("unreadable of pod-0: its number has 6 bytes instead of 8\n"));
  EXPECT_THAT(reports_.all(), HasSubstr("unreadable of pod-0: JSON is read on the bound port"));
}

// ZeroMQ gives such an address up for good.
TEST_F(EventFeedTest, AnEngineIsFoundAfterAStrangerHadItsPort) {
  EventPublisher& of = publisher();
  of.lose("+a");
  of.close();
  options_.connect_timeout = milliseconds(200);
  void* const context = zmq_ctx_new();
  void* const stranger = zmq_socket(context, ZMQ_STREAM);
  ASSERT_TRUE(wait_for([&] { return zmq_bind(stranger, of.events().c_str()) == 0; }));
  start();
  join(of);
  ASSERT_TRUE(wait_for([&] {
    char bytes[256];
    const int length = zmq_recv(stranger, bytes, sizeof bytes, ZMQ_DONTWAIT);
    if (length == 5) {  // who connected
      zmq_send(stranger, bytes, 5, ZMQ_SNDMORE | ZMQ_DONTWAIT);
      zmq_send(stranger, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", 47, ZMQ_DONTWAIT);
    }
    return errors(KvFeedOperation::kHandshake) > 0;
  }));
  const int linger = 0;
  zmq_setsockopt(stranger, ZMQ_LINGER, &linger, sizeof linger);
  zmq_close(stranger);
  zmq_ctx_term(context);
  of.open();
  EXPECT_TRUE(wait_until_exact(of));
}

TEST_F(EventFeedTest, AReplayThatNeverEndsIsCutOffAndTheSourceGivenUp) {
  options_.stream.replay.bytes_max = 5000;
  options_.stream.replays_in_a_row = 4;
  EventPublisher& of = publisher();
  of.lose("+a");
  of.set_replays(EventPublisher::Replays::kEndlessly);
  start();
  join(of);
  ASSERT_TRUE(wait_for([&] { return reports_.all().find("given up") != std::string::npos; }));
  EXPECT_LE(statistics().replays, 4u);
  EXPECT_NE(statistics().freshness, KvFreshness::kExact);
}

TEST_F(EventFeedTest, ASilentReplayHoldsUpNobodyElse) {
  options_.stream.replay.idle = milliseconds(20);
  options_.stream.replay_pause = milliseconds(30);
  options_.replays_max = 1;
  EventPublisher& silent = publisher();
  silent.set_replays(EventPublisher::Replays::kSilently);
  silent.lose("+a");
  EventPublisher& of = publisher();
  of.lose("+b");
  start();
  join(silent, 0);
  join(of, 1);
  ASSERT_TRUE(wait_until_exact(of, 1));
  EXPECT_TRUE(wait_for([&] { return reports_.all().find("given up pod-0") != std::string::npos; }));
  EXPECT_EQ(statistics(0).replays, 3u);
}

TEST_F(EventFeedTest, ARefusedReplayIsNoticedAtOnce) {
  options_.stream.replay.idle = seconds(1000);
  options_.stream.replay_pause = milliseconds(30);
  EventPublisher& of = publisher();
  start();
  KvEventAddresses addresses;
  addresses.events = of.events();
  addresses.replay = "tcp://127.0.0.1:1";
  feed_->joined(EndpointId{0}, endpoint(0), addresses);
  EXPECT_TRUE(wait_for([&] { return reports_.all().find("given up pod-0") != std::string::npos; }));
  EXPECT_EQ(errors(KvFeedOperation::kReplay), 3u);
}

TEST_F(EventFeedTest, AFloodIsBoundedAndMadeUpFor) {
  options_.receive_high_water_mark = 10;
  options_.stream.live_bytes_max = 20'000;
  options_.waiting_bytes_max = 20'000;
  options_.messages_per_turn = 4;
  EventPublisher& of = publisher("127.0.0.1", 10);
  start();
  join(of);
  ASSERT_TRUE(publish_until_heard(of));
  ASSERT_TRUE(wait_until_exact(of));
  const uint64_t gaps = statistics().gaps;
  const std::string large(10'000, 'x');
  for (int i = 0; i < 3000; ++i) {
    of.publish("+" + large + " +" + std::to_string(i % 100));
    if (i % 10 == 0) of.serve();
  }
  of.publish("-" + large);
  // The publisher dropped what its subscriber did not take, and a later batch shows it.
  const auto heard = [&] { return statistics().next_number == of.engine().next(); };
  EXPECT_TRUE(wait_for([&] {
    const bool idle = !statistics().replaying;
    if (idle && !heard()) of.publish("+tick");
    return idle && heard() && statistics().freshness == KvFreshness::kExact;
  }));
  EXPECT_EQ(tracker_.sources().front().blocks, of.engine().blocks());
  EXPECT_GT(statistics().gaps, gaps);
  EXPECT_EQ(statistics().holes, 0u) << reports_.why_given_up();
}

}  // namespace
}  // namespace kvasir
