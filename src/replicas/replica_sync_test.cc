// Replicas that speak through the test, on a clock that it moves.
#include "replicas/replica_sync.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/policy_fixture.h"
#include "fleet/fleet.h"
#include "plugins/plugin_roster.h"
#include "replicas/replica_probe.h"
#include "scheduling/policy.h"
#include "scheduling/scheduler.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

constexpr const char* kConfig = R"(
apiVersion: inference.networking.x-k8s.io/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: session-affinity-filter
  parameters: {strategy: session_id}
- type: inflight-load-producer
- type: active-request-scorer
- type: max-score-picker
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: session-affinity-filter
  - pluginRef: active-request-scorer
  - pluginRef: max-score-picker
)";

std::vector<Endpoint> endpoints_called(const std::vector<std::string>& names) {
  std::vector<Endpoint> endpoints;
  for (const std::string& name : names) endpoints.push_back({name, "127.0.0.1", 1, {}});
  return endpoints;
}

std::unique_ptr<Policy> make_policy(size_t endpoints) {
  PluginOptions options;
  options.endpoints = endpoints;
  options.allow_alpha = true;
  auto made = policy_from_config(kConfig, "test", options);
  if (!made) ADD_FAILURE() << made.error().message;
  return std::move(made->policy);
}

struct Replica : ReplicaProbe {
  Replica(uint64_t id, const Clock& clock,
          const std::vector<std::string>& names = {"a", "b", "c", "d"},
          ReplicaSyncOptions options = {})
      : fleet(endpoints_called(names)),
        scheduler(fleet, make_policy(names.size()), clock),
        sync(id, fleet, scheduler, clock, *this, options) {
    for (uint32_t i = 0; i < names.size(); ++i) fleet.set_healthy(EndpointId(i), true);
  }

  // The name of the endpoint that gets it.
  std::string pick(RequestId id, std::string_view session = {}) {
    Request request;
    request.id = id;
    request.prompt_tokens = 10;
    const RequestHeader header{"x-session-id", session};
    if (!session.empty()) request.headers = {&header, 1};
    const Scheduled scheduled = scheduler.schedule(request, {});
    if (!scheduled.ok()) return "nobody";
    return fleet.snapshot()->endpoints[index_of(scheduled.decision.endpoint)].endpoint->name;
  }
  // Where the next picks go, without leaving anything behind.
  std::vector<std::string> next(int count) {
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) names.push_back(pick(1'000'000 + i));
    for (int i = 0; i < count; ++i) scheduler.ended(1'000'000 + i);
    std::sort(names.begin(), names.end());
    return names;
  }
  ReplicaSync::Heard hear(const std::optional<std::string>& bytes) {
    Result<ReplicaMessage> message = read_replica_message(bytes.value());
    EXPECT_TRUE(message) << message.error().message;
    return sync.hear(std::move(*message));
  }

  void on_replica_found(uint64_t, size_t) override { ++found; }
  void on_replica_lost(uint64_t, size_t) override { ++lost; }

  Fleet fleet;
  Scheduler scheduler;
  ReplicaSync sync;
  int found = 0;
  int lost = 0;
};

class ReplicaSyncTest : public ::testing::Test {
 protected:
  ReplicaSyncTest() { clock_.advance(seconds(1000)); }

  // What `replica` says when its next message is due, whatever came out before.
  static std::optional<std::string> message_of(Replica& replica, ManualClock& clock) {
    clock.advance(milliseconds(500));
    return replica.sync.tick();
  }
  std::optional<std::string> message_of(Replica& replica) { return message_of(replica, clock_); }

  ManualClock clock_;
  Replica a_{1, clock_};
  Replica b_{2, clock_};
};

TEST_F(ReplicaSyncTest, WhatOneHasInFlightCountsForTheOther) {
  a_.pick(1), a_.pick(2), a_.pick(3);  // three of the four endpoints
  const std::vector<std::string> idle = a_.next(1);
  EXPECT_EQ(b_.hear(message_of(a_)), ReplicaSync::Heard::kTaken);
  b_.sync.tick();
  EXPECT_EQ(b_.next(1), idle);
  EXPECT_EQ(b_.sync.others(), 1u);
  a_.scheduler.ended(1), a_.scheduler.ended(2), a_.scheduler.ended(3);
  b_.hear(message_of(a_));
  b_.sync.tick();
  EXPECT_THAT(b_.next(4), ElementsAre("a", "b", "c", "d"));
}

TEST_F(ReplicaSyncTest, NewsGoesOutAtTheNextIntervalAndElseAHeartbeat) {
  EXPECT_TRUE(a_.sync.tick());
  EXPECT_FALSE(a_.sync.tick());
  clock_.advance(milliseconds(100));
  EXPECT_FALSE(a_.sync.tick()) << "nothing is new";
  a_.pick(1);
  EXPECT_TRUE(a_.sync.tick());
  a_.pick(2);
  clock_.advance(milliseconds(99));
  EXPECT_FALSE(a_.sync.tick());
  clock_.advance(milliseconds(1));
  EXPECT_TRUE(a_.sync.tick());
  clock_.advance(milliseconds(499));
  EXPECT_FALSE(a_.sync.tick());
  clock_.advance(milliseconds(1));
  EXPECT_TRUE(a_.sync.tick()) << "the heartbeat";
}

TEST_F(ReplicaSyncTest, ALostMessageIsMadeGoodByTheNext) {
  a_.pick(1);
  message_of(a_);  // lost
  a_.pick(2);
  const std::vector<std::string> idle = a_.next(2);
  b_.hear(message_of(a_));
  b_.sync.tick();
  EXPECT_EQ(b_.next(2), idle);
}

TEST_F(ReplicaSyncTest, WhatComesTwiceOrLateIsNotHeard) {
  a_.pick(1), a_.pick(2);
  const auto first = message_of(a_);
  a_.scheduler.ended(1), a_.scheduler.ended(2);
  const auto second = message_of(a_);
  EXPECT_EQ(b_.hear(second), ReplicaSync::Heard::kTaken);
  EXPECT_EQ(b_.hear(second), ReplicaSync::Heard::kOld);
  EXPECT_EQ(b_.hear(first), ReplicaSync::Heard::kOld);
  b_.sync.tick();
  EXPECT_THAT(b_.next(4), ElementsAre("a", "b", "c", "d"));
}

TEST_F(ReplicaSyncTest, OneThatFallsSilentIsForgottenWithItsLoad) {
  a_.pick(1), a_.pick(2), a_.pick(3);
  b_.hear(message_of(a_));
  clock_.advance(milliseconds(2999));
  b_.sync.tick();
  EXPECT_NE(b_.next(4), (std::vector<std::string>{"a", "b", "c", "d"}));
  clock_.advance(milliseconds(1));
  b_.sync.tick();
  EXPECT_EQ(b_.sync.others(), 0u);
  EXPECT_EQ(b_.lost, 1);
  EXPECT_THAT(b_.next(4), ElementsAre("a", "b", "c", "d"));
}

TEST_F(ReplicaSyncTest, ABrokenConnectionIsBelievedForTheGraceOnly) {
  a_.pick(1), a_.pick(2), a_.pick(3);
  b_.hear(message_of(a_));
  b_.sync.lost(1);
  b_.sync.lost(99);  // nobody
  clock_.advance(milliseconds(499));
  b_.sync.tick();
  EXPECT_EQ(b_.sync.others(), 1u);
  clock_.advance(milliseconds(1));
  b_.sync.tick();
  EXPECT_EQ(b_.sync.others(), 0u);
  EXPECT_THAT(b_.next(4), ElementsAre("a", "b", "c", "d"));
}

TEST_F(ReplicaSyncTest, OneThatComesBackInTimeIsNotForgotten) {
  b_.hear(message_of(a_));
  b_.sync.lost(1);
  clock_.advance(milliseconds(300));
  a_.pick(1);
  b_.hear(a_.sync.tick());
  clock_.advance(milliseconds(300));
  b_.sync.tick();
  EXPECT_EQ(b_.sync.others(), 1u);
  EXPECT_EQ(b_.lost, 0);
}

TEST_F(ReplicaSyncTest, ARestartedOneStartsAnewBesideItsFormerSelf) {
  a_.pick(1), a_.pick(2), a_.pick(3);
  for (int i = 0; i < 5; ++i) b_.hear(message_of(a_));
  Replica again(3, clock_);
  EXPECT_EQ(b_.hear(again.sync.tick()), ReplicaSync::Heard::kTaken) << "its sequence is its own";
  EXPECT_EQ(b_.sync.others(), 2u);
  for (int i = 0; i < 6; ++i) b_.hear(message_of(again)), b_.sync.tick();
  EXPECT_EQ(b_.sync.others(), 1u);
  EXPECT_THAT(b_.next(4), ElementsAre("a", "b", "c", "d"));
}

TEST_F(ReplicaSyncTest, SeveralOthersAddUp) {
  Replica c(3, clock_);
  const std::string first = a_.pick(1);
  b_.hear(message_of(a_));
  c.hear(message_of(a_));
  b_.sync.tick();
  const std::string second = b_.pick(1);
  c.hear(message_of(b_));
  c.sync.tick();
  EXPECT_NE(first, second);
  EXPECT_EQ(c.sync.others(), 2u);
  std::vector<std::string> all = c.next(2);
  all.insert(all.end(), {first, second});
  std::sort(all.begin(), all.end());
  EXPECT_THAT(all, ElementsAre("a", "b", "c", "d"));
}

TEST_F(ReplicaSyncTest, EndpointsAreKnownByNameAndUnknownOnesAreLeftOut) {
  Replica other(3, clock_, {"d", "x", "c", "y", "z"});
  for (RequestId id = 1; id <= 5; ++id) other.pick(id);
  b_.hear(message_of(other));
  b_.sync.tick();
  EXPECT_THAT(b_.next(2), ElementsAre("a", "b"));
}

TEST_F(ReplicaSyncTest, ItsOwnWordsAreKnown) {
  EXPECT_EQ(a_.hear(message_of(a_)), ReplicaSync::Heard::kOwn);
  EXPECT_EQ(a_.sync.others(), 0u);
}

TEST_F(ReplicaSyncTest, NotMoreOthersThanAllowedAreHeard) {
  ReplicaSyncOptions options;
  options.origins_max = 3;
  Replica few(100, clock_, {"a", "b", "c", "d"}, options);
  for (uint64_t id = 1; id <= 3; ++id) {
    EXPECT_EQ(few.sync.hear({id, 1, {}, {}}), ReplicaSync::Heard::kTaken);
  }
  EXPECT_EQ(few.sync.hear({4, 1, {}, {}}), ReplicaSync::Heard::kTooMany);
  EXPECT_EQ(few.sync.hear({3, 2, {}, {}}), ReplicaSync::Heard::kTaken);
  EXPECT_EQ(few.sync.others(), 3u);
}

TEST_F(ReplicaSyncTest, ASessionIsHonouredByTheOther) {
  for (RequestId id = 1; id <= 3; ++id) b_.pick(id);  // b would rather pick the fourth
  const std::string bound = a_.pick(1, "alice");
  b_.hear(message_of(a_));
  b_.sync.tick();
  for (RequestId id = 10; id < 20; ++id) EXPECT_EQ(b_.pick(id, "alice"), bound);
}

TEST_F(ReplicaSyncTest, SessionsWhoseMessageWasLostComeWithHeartbeats) {
  const std::string bound = a_.pick(1, "alice");
  message_of(a_);  // lost
  a_.scheduler.ended(1);
  b_.hear(message_of(a_));
  b_.sync.tick();
  for (RequestId id = 10; id < 20; ++id) EXPECT_EQ(b_.pick(id, "alice"), bound);
}

TEST_F(ReplicaSyncTest, WhoIsGreetedLearnsAllSessionsSoon) {
  constexpr int kSessions = 5000;
  std::vector<std::string> bound;
  for (int i = 0; i < kSessions; ++i) bound.push_back(a_.pick(1 + i, "s" + std::to_string(i)));
  for (int i = 0; i < 10; ++i) message_of(a_);  // before b was there
  a_.sync.greet();
  int messages = 0;
  for (int i = 0; i < 10; ++i) {
    clock_.advance(milliseconds(100));
    if (const auto message = a_.sync.tick()) b_.hear(message), ++messages;
    b_.sync.tick();
  }
  EXPECT_LT(messages, 10) << "then it is quiet again";
  int honoured = 0;
  for (int i = 0; i < kSessions; ++i) {
    honoured += b_.pick(1 + i, "s" + std::to_string(i)) == bound[i];
  }
  EXPECT_EQ(honoured, kSessions);
}

TEST_F(ReplicaSyncTest, ManySessionsAtOnceAllArriveBesideTheLoad) {
  std::vector<std::string> bound;
  for (int i = 0; i < 1500; ++i) bound.push_back(a_.pick(1 + i, "s" + std::to_string(i)));
  for (int i = 0; i < 1500; ++i) {
    if (bound[i] != "c") a_.scheduler.ended(1 + i);
  }
  b_.hear(message_of(a_));
  b_.sync.tick();
  for (int i = 0; i < 1500; ++i) {
    EXPECT_EQ(b_.pick(1 + i, "s" + std::to_string(i)), bound[i]);
    b_.scheduler.ended(1 + i);
  }
  EXPECT_THAT(b_.next(3), ElementsAre("a", "b", "d")) << "c is busy";
}

TEST_F(ReplicaSyncTest, AnotherReplicasSessionsOutliveIt) {
  const std::string bound = a_.pick(1, "alice");
  b_.hear(message_of(a_));
  b_.sync.tick();
  Replica fresh(3, clock_);
  clock_.advance(seconds(10));
  b_.sync.greet();
  fresh.hear(message_of(b_));
  fresh.sync.tick();
  for (RequestId id = 10; id < 20; ++id) EXPECT_EQ(fresh.pick(id, "alice"), bound);
}

TEST_F(ReplicaSyncTest, SessionsBeyondWhatMayWaitAreDropped) {
  ReplicaSyncOptions options;
  options.pending_bindings_max = 10;
  Replica small(3, clock_, {"a", "b", "c", "d"}, options);
  for (int i = 0; i < 100; ++i) a_.pick(1 + i, "s" + std::to_string(i));
  small.hear(message_of(a_));
  small.sync.tick();
  small.sync.greet();
  clock_.advance(milliseconds(500));
  const auto told = read_replica_message(small.sync.tick().value());
  ASSERT_EQ(told->plugins.size(), 1u);
  EXPECT_EQ(told->plugins[0].bindings.size(), 10u);
}

TEST_F(ReplicaSyncTest, NothingItSaysIsRefusedHoweverMuchItKnows) {
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back("endpoint-" + std::to_string(i));
  names[7] = std::string(ReplicaMessageLimits::kEndpointNameBytes + 1, 'x');
  Replica large(3, clock_, names);
  for (int i = 0; i < 8000; ++i) large.pick(1 + i, "s" + std::to_string(i));
  const auto read = read_replica_message(message_of(large).value());
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->plugins.size(), 2u);
  EXPECT_EQ(read->endpoints.size(), 999u);
}

}  // namespace
}  // namespace kvasir
