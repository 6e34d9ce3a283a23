// Publishing and replay over real sockets; the events themselves do not matter here.
#include "worker/kv_event_publisher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/big_endian.h"
#include "worker/zmq_peer_fixture.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string kEnd(8, '\xff');

KvEventPublisherOptions options_on_free_ports() {
  KvEventPublisherOptions options;
  options.endpoint = "tcp://127.0.0.1:*";
  options.replay_endpoint = "tcp://127.0.0.1:*";
  options.topic = "kv@pod@model";
  return options;
}

std::unique_ptr<KvEventPublisher> started(KvEventPublisherOptions options) {
  auto publisher = KvEventPublisher::start(std::move(options));
  EXPECT_TRUE(publisher.ok()) << publisher.error().message;
  return std::move(publisher).value();
}

// Publishes until the subscriber hears something: before, it may not have joined.
Frames first_heard(KvEventPublisher& publisher, ZmqPeer& subscriber) {
  std::atomic<bool> heard{false};
  Frames frames;
  std::thread listener([&] {
    frames = subscriber.receive();
    heard = true;
  });
  while (!heard) {
    publisher.publish("hello");
    std::this_thread::yield();
  }
  listener.join();
  return frames;
}

// What a replay from there brings, without its end.
std::vector<Frames> replayed(KvEventPublisher& publisher, uint64_t from) {
  ZmqPeer client(ZMQ_DEALER);
  client.connect(publisher.bound_replay_endpoint());
  client.send({"", big_endian_bytes(from)});
  std::vector<Frames> messages;
  for (;;) {
    Frames frames = client.receive();
    if (frames.empty()) {
      ADD_FAILURE() << "the replay does not end";
      return messages;
    }
    if (frames == Frames{"", "", kEnd, ""}) return messages;
    messages.push_back(std::move(frames));
  }
}

// Waits until the thread has published everything.
void settle(const KvEventPublisher& publisher, uint64_t batches) {
  while (publisher.counts().published + publisher.counts().dropped < batches) {
    std::this_thread::yield();
  }
}

// One subscriber after the other joins, asks what it missed, and then listens. The numbers that it
// got last by replay, and first live: the latter may not skip one.
TEST(KvEventPublisher, WhatIsPublishedAfterAReplayIsHeardLive) {
  constexpr int kSubscribers = 30;
  const auto publisher = started(options_on_free_ports());
  publisher->publish("hello");
  settle(*publisher, 1);
  std::atomic<bool> done{false};
  std::thread listener([&] {
    for (int i = 0; i < kSubscribers && !::testing::Test::HasFailure(); ++i) {
      ZmqPeer subscriber(ZMQ_SUB);
      subscriber.connect_and_greet(publisher->bound_endpoint());
      ZmqPeer client(ZMQ_DEALER, subscriber);
      client.connect(publisher->bound_replay_endpoint());
      client.send({"", big_endian_bytes(publisher->counts().published - 1)});
      std::string last;
      for (Frames frames = client.receive(); frames.size() == 4; frames = client.receive()) {
        if (frames[2] == kEnd) break;
        last = frames[2];
      }
      const Frames first = subscriber.receive();
      if (first.size() != 3 || last.size() != 8) {
        ADD_FAILURE() << "nothing came";
        break;
      }
      EXPECT_LE(from_big_endian(first[1]), from_big_endian(last) + 1) << "subscriber " << i;
    }
    done = true;
  });
  for (uint64_t batches = 2; !done; ++batches) {
    publisher->publish("hello");
    settle(*publisher, batches);
  }
  listener.join();
}

TEST(KvEventEndpoint, IsBoundByVllmsRule) {
  for (const char* bound :
       {"tcp://*:5557", "tcp://[::]:5557", "ipc:///tmp/x", "inproc://x", "tcp://127.0.0.1:*"}) {
    EXPECT_TRUE(is_bound_endpoint(bound)) << bound;
  }
  for (const char* connected :
       {"tcp://0.0.0.0:5557", "tcp://manager:5555", "tcp://10.0.0.1:5555"}) {
    EXPECT_FALSE(is_bound_endpoint(connected)) << connected;
  }
}

TEST(KvEventPublisher, SendsTopicNumberAndBatch) {
  const auto publisher = started(options_on_free_ports());
  ZmqPeer subscriber(ZMQ_SUB);
  subscriber.connect(publisher->bound_endpoint());
  const Frames first = first_heard(*publisher, subscriber);
  ASSERT_EQ(first.size(), 3u);
  EXPECT_EQ(first[0], "kv@pod@model");
  EXPECT_EQ(first[1].size(), 8u);
  EXPECT_EQ(first[2], "hello");
  publisher->publish("the last");
  std::string last_number = first[1];
  for (Frames frames = first; frames[2] != "the last";) {
    frames = subscriber.receive();
    ASSERT_EQ(frames.size(), 3u);
    EXPECT_GT(frames[1], last_number) << "numbers ascend";
    last_number = frames[1];
  }
}

TEST(KvEventPublisher, ReplaysWhatItKeepsFromTheNumberThatIsAskedFor) {
  const auto publisher = started(options_on_free_ports());
  for (const char* batch : {"a", "b", "c"}) publisher->publish(batch);
  settle(*publisher, 3);
  EXPECT_THAT(replayed(*publisher, 1),
              ElementsAre(Frames{"", "kv@pod@model", big_endian_bytes(1), "b"},
                          Frames{"", "kv@pod@model", big_endian_bytes(2), "c"}));
  EXPECT_THAT(replayed(*publisher, 3), IsEmpty());
  EXPECT_EQ(replayed(*publisher, 0).size(), 3u);
  EXPECT_EQ(publisher->counts().replayed, 5u);
}

TEST(KvEventPublisher, KeepsTheLatestBatchesOnly) {
  KvEventPublisherOptions options = options_on_free_ports();
  options.buffer_steps = 2;
  auto publisher = started(options);
  for (const char* batch : {"a", "b", "c"}) publisher->publish(batch);
  settle(*publisher, 3);
  EXPECT_EQ(replayed(*publisher, 0).front()[2], big_endian_bytes(1));

  options.buffer_steps = 100;
  options.replay_bytes_max = 25;
  publisher = started(options);
  for (int i = 0; i < 5; ++i) publisher->publish(std::string(10, 'x'));
  settle(*publisher, 5);
  EXPECT_EQ(replayed(*publisher, 0).size(), 2u);
}

// More than ZeroMQ holds for one client: it gets everything all the same.
TEST(KvEventPublisher, AReplayWaitsForASlowClient) {
  const auto publisher = started(options_on_free_ports());
  constexpr uint64_t kBatches = 6000;
  for (uint64_t i = 0; i < kBatches; ++i) publisher->publish(std::string(2000, 'x'));
  settle(*publisher, kBatches);
  EXPECT_EQ(replayed(*publisher, 0).size(), kBatches);
}

TEST(KvEventPublisher, IgnoresWhatIsNoRequest) {
  const auto publisher = started(options_on_free_ports());
  publisher->publish("a");
  settle(*publisher, 1);
  ZmqPeer client(ZMQ_DEALER);
  client.connect(publisher->bound_replay_endpoint());
  client.send({big_endian_bytes(0)});                       // no empty frame
  client.send({"", big_endian_bytes(0), "more"});           // too many
  client.send({"", big_endian_bytes(0) + "a longer one"});  // no number
  client.send({"", big_endian_bytes(0)});
  EXPECT_THAT(client.receive(), ElementsAre("", "kv@pod@model", big_endian_bytes(0), "a"));
  EXPECT_EQ(publisher->counts().replay_requests_ignored, 3u);
}

TEST(KvEventPublisher, WhatFindsNoPlaceIsDroppedAndItsNumberIsMissing) {
  KvEventPublisherOptions options = options_on_free_ports();
  options.bytes_max = 100;
  const auto publisher = started(options);
  publisher->publish("a");
  publisher->publish(std::string(1000, 'x'));
  publisher->publish("b");
  settle(*publisher, 3);
  EXPECT_EQ(publisher->counts().dropped, 1u);
  const std::vector<Frames> kept = replayed(*publisher, 0);
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[0][2], big_endian_bytes(0));
  EXPECT_EQ(kept[1][2], big_endian_bytes(2));
}

// As a Service with several pods behind it: each gets the events.
TEST(KvEventPublisher, PublishesToEachOfItsPeers) {
  KvEventPublisherOptions options;
  options.endpoint.clear();
  const auto publisher = started(options);
  ZmqPeer first(ZMQ_SUB), second(ZMQ_SUB);
  const std::vector<std::string> peers = {first.bind(), second.bind()};
  publisher->set_peers(peers);
  EXPECT_THAT(first_heard(*publisher, first), ElementsAre("", testing::_, "hello"));
  EXPECT_THAT(first_heard(*publisher, second), ElementsAre("", testing::_, "hello"));
  publisher->set_peers({peers[1]});
  EXPECT_THAT(first_heard(*publisher, second), ElementsAre("", testing::_, "hello"));
  EXPECT_EQ(publisher->bound_endpoint(), "");
}

TEST(KvEventPublisher, AnEndpointThatIsTakenIsAnError) {
  const auto publisher = started(options_on_free_ports());
  KvEventPublisherOptions options;
  options.replay_endpoint = publisher->bound_endpoint();
  options.endpoint = "tcp://127.0.0.1:*";
  const auto second = KvEventPublisher::start(options);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message, HasSubstr("cannot bind " + publisher->bound_endpoint()));
  EXPECT_THAT(second.error().message, HasSubstr("in use; end what listens there, or take another"));
  options.replay_endpoint = "nonsense";
  EXPECT_FALSE(KvEventPublisher::start(options).ok());
}

TEST(KvEventPublisher, EndsWhileASubscriberTakesNothing) {
  auto publisher = started(options_on_free_ports());
  ZmqPeer subscriber(ZMQ_SUB);
  subscriber.connect(publisher->bound_endpoint());
  first_heard(*publisher, subscriber);
  for (int i = 0; i < 1000; ++i) publisher->publish(std::string(100'000, 'x'));
  publisher.reset();
}

}  // namespace
}  // namespace kvasir
