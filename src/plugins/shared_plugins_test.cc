// What plugins tell the other replicas of a picker, and make of what they hear.
#include "plugins/plugin_fixture.h"
#include "plugins/scorer/session_table.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;

constexpr SharedExport kEverything{1000, 1000};

SharedPart loads_elsewhere(std::vector<SharedLoad> loads) {
  SharedPart part;
  part.plugin = "inflight-load-producer";
  part.loads = std::move(loads);
  return part;
}

class SharedLoads : public PluginTest {
 protected:
  SharedLoads() { policy_ = policy({{"", "active-request-scorer"}, producer()}); }

  static PluginConfig producer() {
    return {"inflight-load-producer", "inflight-load-producer", {}, 1};
  }
  std::vector<uint32_t> picks(int count) {
    std::vector<uint32_t> picks;
    for (int i = 0; i < count; ++i) picks.push_back(index_of(pick(*policy_)->endpoint));
    return picks;
  }

  std::unique_ptr<Policy> policy_;
};

TEST_F(SharedLoads, OnlyWhatWasBookedHereIsTold) {
  policy_->import_shared({loads_elsewhere({{EndpointId(0), 7, 700}})}, fleet_, now_);
  request_.prompt_tokens = 30;
  EXPECT_THAT(picks(1), ElementsAre(1));
  const SharedState told = policy_->export_shared(kEverything, now_);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].plugin, "inflight-load-producer");
  EXPECT_THAT(told[0].loads, ElementsAre(SharedLoad{EndpointId(1), 1, 30}));
  policy_->ended(last_id_, now_);
  EXPECT_TRUE(policy_->export_shared(kEverything, now_).empty());
}

TEST_F(SharedLoads, WhatIsInFlightElsewhereCountsUntilItIsGone) {
  policy_->import_shared({loads_elsewhere({{EndpointId(0), 2, 0}, {EndpointId(1), 2, 0}})}, fleet_,
                         now_);
  EXPECT_THAT(picks(2), ElementsAre(2, 2));
  policy_->import_shared({}, fleet_, now_);
  EXPECT_THAT(picks(2), ::testing::UnorderedElementsAre(0, 1));
}

TEST_F(SharedLoads, ReleasesAreExactWhateverOthersSay) {
  picks(3);
  policy_->import_shared({loads_elsewhere({{EndpointId(0), UINT32_MAX, UINT64_MAX}})}, fleet_,
                         now_);
  policy_->import_shared({loads_elsewhere({{EndpointId(99), 5, 5}})}, fleet_, now_);
  for (RequestId id = 1; id <= 3; ++id) policy_->ended(id, now_);
  EXPECT_TRUE(policy_->export_shared(kEverything, now_).empty());
  EXPECT_THAT(picks(3), ::testing::UnorderedElementsAre(0, 1, 2));
}

TEST_F(SharedLoads, ANewConfigurationKeepsWhatWasBookedHere) {
  const std::vector<uint32_t> taken = picks(2);
  auto next = policy({{"", "active-request-scorer"}, producer()});
  next->inherit(*policy_);
  policy_ = std::move(next);
  EXPECT_EQ(policy_->export_shared(kEverything, now_)[0].loads.size(), 2u);
  EXPECT_THAT(picks(1), ElementsAre(3 - taken[0] - taken[1])) << "the idle one";
}

TEST_F(SharedLoads, SyncCrossReplicaStateSwitchesBothWaysOff) {
  PluginConfig alone = producer();
  alone.parameters = parameters({{"syncCrossReplicaState", false}});
  policy_ = policy({{"", "active-request-scorer"}, alone});
  policy_->import_shared({loads_elsewhere({{EndpointId(0), 9, 0}})}, fleet_, now_);
  EXPECT_THAT(picks(1), ElementsAre(0));
  EXPECT_TRUE(policy_->export_shared(kEverything, now_).empty());
}

class SharedSessions : public PluginTest {
 protected:
  SharedSessions() {
    header("x-session-id", "s");
    for (auto& replica : replicas_) {
      replica =
          policy({{"stick", "session-affinity-filter", parameters({{"strategy", "session_id"}})},
                  {"", "random-picker"}});
    }
  }
  uint32_t pick_on(int replica) { return index_of(pick(*replicas_[replica])->endpoint); }
  void tell(int from, int to, SharedExport wanted = kEverything) {
    replicas_[to]->import_shared(replicas_[from]->export_shared(wanted, now_), fleet_, now_);
  }

  std::unique_ptr<Policy> replicas_[2];
};

TEST_F(SharedSessions, ASessionBoundByOneIsHonouredByTheOther) {
  const uint32_t first = pick_on(0);
  tell(0, 1);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(pick_on(1), first);
}

TEST_F(SharedSessions, TheLastUseWins) {
  pick_on(0);
  tell(0, 1);
  now_ += seconds(5);
  candidates_ = {EndpointId(2)};  // the others are gone
  EXPECT_EQ(pick_on(1), 2u);
  candidates_ = {EndpointId(0), EndpointId(1), EndpointId(2)};
  tell(1, 0);
  EXPECT_EQ(pick_on(0), 2u);
}

TEST_F(SharedSessions, SimultaneousBindingsEndUpTheSameOnBothSides) {
  candidates_ = {EndpointId(2)};
  pick_on(0);
  now_ += milliseconds(100);
  candidates_ = {EndpointId(1)};
  pick_on(1);
  candidates_ = {EndpointId(0), EndpointId(1), EndpointId(2)};
  const SharedState crossing = replicas_[1]->export_shared(kEverything, now_);
  now_ += milliseconds(100);
  tell(0, 1);
  replicas_[0]->import_shared(crossing, fleet_, now_);
  EXPECT_EQ(pick_on(0), pick_on(1));
}

TEST_F(SharedSessions, AnExpiredBindingIsNotLearned) {
  pick_on(0);
  const SharedState old = replicas_[0]->export_shared(kEverything, now_);
  ASSERT_EQ(old.size(), 1u);
  SharedState expired = old;
  for (SharedBinding& binding : expired[0].bindings) binding.age = seconds(300);
  replicas_[1]->import_shared(expired, fleet_, now_);
  EXPECT_TRUE(replicas_[1]->export_shared(kEverything, now_).empty());
}

TEST_F(SharedSessions, WhatIsNewIsToldOnceAndWhatIsKnownInTurn) {
  pick_on(0);
  EXPECT_EQ(replicas_[0]->export_shared({10, 0}, now_)[0].bindings.size(), 1u);
  const SharedState again = replicas_[0]->export_shared({10, 0}, now_);
  EXPECT_TRUE(again.empty() || again[0].bindings.empty());
  EXPECT_EQ(replicas_[0]->export_shared({0, 10}, now_)[0].bindings.size(), 1u);
  now_ += seconds(2);
  pick_on(0);
  EXPECT_EQ(replicas_[0]->export_shared({10, 0}, now_)[0].bindings.size(), 1u) << "used again";
}

TEST(SharedSessionTable, EveryBindingIsHandedOutOnceARoundWhileOthersComeAndGo) {
  constexpr uint64_t kSessions = 1000;
  SessionTable table(seconds(100));
  TimePoint now{seconds(1)};
  for (uint64_t session = 1; session <= kSessions; ++session) {
    table.bind(session, EndpointId(0), now);
    now += milliseconds(10);
  }
  std::vector<int> told(2 * kSessions + 1);
  bool done = false;
  for (uint64_t step = 0; !done; ++step) {
    done = table.take_known(50, [&](uint64_t session, EndpointId, TimePoint) { ++told[session]; });
    now += seconds(5);
    if (step < 5) table.bind(kSessions + 1 + step, EndpointId(0), now);
    ASSERT_LT(step, 100u);
  }
  for (uint64_t session = 501; session <= kSessions + 5; ++session) {
    EXPECT_EQ(told[session], 1) << session;
  }
}

TEST(SharedSessionTable, NewsIsBoundedAndTheRestIsFoundInTurn) {
  SessionTable table(seconds(100));
  for (uint64_t session = 1; session <= SessionTable::kNewMax + 10; ++session) {
    table.bind(session, EndpointId(0), TimePoint{});
  }
  size_t news = 0;
  size_t known = 0;
  table.take_new(SIZE_MAX, [&](uint64_t, EndpointId, TimePoint) { ++news; });
  EXPECT_TRUE(table.take_known(SIZE_MAX, [&](uint64_t, EndpointId, TimePoint) { ++known; }));
  EXPECT_EQ(news, SessionTable::kNewMax);
  EXPECT_EQ(known, SessionTable::kNewMax + 10);
}

}  // namespace
}  // namespace kvasir
