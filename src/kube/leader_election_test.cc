// Elections on virtual time, against a scripted API server.
#include "kube/leader_election.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/virtual_executor_fixture.h"
#include "kube/scripted_api_fronts_fixture.h"

namespace kvasir {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using Json = nlohmann::json;

constexpr char kLeases[] = "/apis/coordination.k8s.io/v1/namespaces/prod/leases";

// A wall clock that goes with the executor's.
class WallOf final : public Clock {
 public:
  WallOf(const Executor& executor, Duration since_1970)
      : executor_(executor), since_1970_(since_1970) {}
  TimePoint now() const override { return executor_.now() + since_1970_; }

 private:
  const Executor& executor_;
  const Duration since_1970_;
};
constexpr Duration kStart = seconds(1'769'846'400);  // 2026-01-31T08:00:00Z

// One process that may lead, with its own way to the server.
class Candidate final : public LeaderProbe {
 public:
  Candidate(VirtualExecutor& executor, ScriptedApiServer& server, const std::string& name,
            const Clock& wall_clock, uint64_t seed)
      : api(executor, server), random_(seed) {
    LeaderElectionOptions options;
    options.name_space = "prod";
    options.lease_name = "epp";
    options.identity = name;
    election = std::make_unique<LeaderElection>(executor, api, wall_clock, options, random_, *this);
  }
  void on_leading(bool leads) override { turns.push_back(leads); }
  void on_new_leader(const std::string& identity) override { leaders.push_back(identity); }
  void on_election_trouble(const std::string& why) override { troubles.push_back(why); }
  // The process is killed: nothing of it says anything any more.
  void die() { election.reset(); }
  bool leads() const { return election != nullptr && election->leads(); }

  ScriptedKubeApi api;
  std::vector<bool> turns;
  std::vector<std::string> leaders;
  std::vector<std::string> troubles;

 private:
  Random random_;

 public:
  std::unique_ptr<LeaderElection> election;
};

class LeaderElectionTest : public ::testing::Test {
 protected:
  std::unique_ptr<Candidate> candidate(const std::string& name) {
    return std::make_unique<Candidate>(executor_, server_, name, wall_, ++seed_);
  }
  // A candidate that leads, `since_renewal` after its last renewal.
  std::unique_ptr<Candidate> leader(const std::string& name) {
    auto made = candidate(name);
    pass(seconds(1));
    EXPECT_TRUE(made->leads());
    return made;
  }
  void pass(Duration time) { executor_.run_until(executor_.now() + time); }
  // How long until it leads, in steps of 0.1 s; a minute at most.
  double seconds_until_leading(const Candidate& candidate) {
    const TimePoint begin = executor_.now();
    while (!candidate.leads() && executor_.now() - begin < seconds(60)) {
      pass(std::chrono::milliseconds(100));
    }
    return to_seconds(executor_.now() - begin);
  }
  Json lease() { return server_.get("coordination.k8s.io/v1", "Lease", "epp", "prod"); }
  void put_lease(const std::string& holder, int duration = 15) {
    Json changed = lease();
    changed["apiVersion"] = "coordination.k8s.io/v1";
    changed["kind"] = "Lease";
    changed["metadata"]["name"] = "epp";
    changed["metadata"]["namespace"] = "prod";
    changed["spec"]["holderIdentity"] = holder;
    changed["spec"]["leaseDurationSeconds"] = duration;
    changed["spec"]["renewTime"] = "2026-01-31T08:00:0" + std::to_string(++puts_) + ".000000Z";
    server_.put(changed);
  }

  VirtualExecutor executor_;
  WallOf wall_{executor_, kStart};
  ScriptedApiServer server_;
  uint64_t seed_ = 0;
  int puts_ = 0;
};

TEST_F(LeaderElectionTest, FirstOfTwoLeadsAndTheOtherKnowsIt) {
  const auto a = leader("a");
  const auto b = candidate("b");
  pass(seconds(60));
  EXPECT_TRUE(a->leads());
  EXPECT_FALSE(b->leads());
  EXPECT_THAT(a->turns, ElementsAre(true));
  EXPECT_THAT(b->turns, IsEmpty());
  EXPECT_THAT(a->leaders, ElementsAre("a"));
  EXPECT_THAT(b->leaders, ElementsAre("a"));
  EXPECT_THAT(a->troubles, IsEmpty());
  const Json spec = lease()["spec"];
  EXPECT_EQ(spec["holderIdentity"], "a");
  EXPECT_EQ(spec["leaseDurationSeconds"], 15);
  EXPECT_EQ(spec["leaseTransitions"], 0);
  EXPECT_THAT(spec["acquireTime"].get<std::string>(), MatchesRegex("2026-01-31T08:00:0.*"));
  EXPECT_THAT(spec["renewTime"].get<std::string>(),
              MatchesRegex("2026-01-31T08:0[01]:..\\........?Z"));
  EXPECT_EQ(spec["renewTime"].get<std::string>().size(),
            std::string("2026-01-31T08:00:00.000000Z").size());
}

TEST_F(LeaderElectionTest, WhenTheLeaderIsKilledTheOtherLeadsOnceTheLeaseIsOver) {
  const auto a = leader("a");
  const auto b = candidate("b");
  pass(seconds(20));
  a->die();
  const double waited = seconds_until_leading(*b);
  EXPECT_GE(waited, 15 - 2);              // the lease, from its last renewal
  EXPECT_LE(waited, 15 + 0.1);            // its last renewal was seen when it came
  EXPECT_EQ(lease()["spec"]["leaseTransitions"], 1);
  EXPECT_THAT(b->leaders, ElementsAre("a", "b"));
}

TEST_F(LeaderElectionTest, CandidateThatMayNotWatchReadsTheLeaseAgainAndAgain) {
  server_.script({.fits = "watch=1", .code = 403, .reason = "Forbidden", .times = 1000});
  const auto a = leader("a");
  const auto b = candidate("b");
  pass(seconds(20));
  EXPECT_EQ(server_.watches(), 0u);
  EXPECT_THAT(b->troubles, IsEmpty());
  a->die();
  const double waited = seconds_until_leading(*b);
  EXPECT_GE(waited, 15 - 2);
  EXPECT_LE(waited, 15 + 2 * 1.2 + 0.3);  // its last renewal is seen late by a pause at most
  EXPECT_THAT(b->leaders, ElementsAre("a", "b"));
}

TEST_F(LeaderElectionTest, CandidateWatchesAgainWhenItsWatchEndsAndNotWhenItLeads) {
  const auto a = leader("a");
  const auto b = candidate("b");
  pass(seconds(5));
  EXPECT_EQ(server_.watches("leases"), 1u);  // of b
  server_.end_watches();
  pass(seconds(5));
  EXPECT_EQ(server_.watches("leases"), 1u);
  server_.cut_watches();
  pass(seconds(60));
  EXPECT_EQ(server_.watches("leases"), 1u);
  a->die();
  EXPECT_LE(seconds_until_leading(*b), 15 + 0.1);
  EXPECT_EQ(server_.watches("leases"), 0u);
}

TEST_F(LeaderElectionTest, LeaderWithoutAServerGivesUpAtTheDeadline) {
  const auto a = leader("a");
  const auto b = candidate("b");
  pass(seconds(20));
  a->api.go_away();
  pass(seconds(7));
  EXPECT_TRUE(a->leads());  // renewed two seconds before at most
  pass(seconds(3));
  EXPECT_FALSE(a->leads());
  EXPECT_THAT(a->turns, ElementsAre(true, false));
  EXPECT_FALSE(b->leads());  // not before the lease is over
  EXPECT_THAT(a->troubles, ElementsAre(HasSubstr("the lease prod/epp: cannot connect"),
                                       HasSubstr("it could not be renewed within 10 s")));
  EXPECT_LE(seconds_until_leading(*b), 15);
  a->api.come_back();
  pass(seconds(30));
  EXPECT_FALSE(a->leads());
  EXPECT_TRUE(b->leads());
  EXPECT_THAT(a->leaders, ElementsAre("a", "b"));
}

TEST_F(LeaderElectionTest, RenewalThatIsNeverAnsweredIsAsNoServer) {
  const auto a = leader("a");
  server_.script({.what = ScriptedStep::Do::kStall, .fits = "PUT"});
  pass(seconds(8));
  EXPECT_TRUE(a->leads());
  pass(seconds(2));
  EXPECT_FALSE(a->leads());
  EXPECT_EQ(server_.stalled(), 0u);  // given up
  pass(seconds(10));
  EXPECT_TRUE(a->leads());
}

TEST_F(LeaderElectionTest, CandidateWhoseReadIsNeverAnsweredTriesAgain) {
  server_.script({.what = ScriptedStep::Do::kStall});
  const auto a = candidate("a");
  pass(seconds(9));
  EXPECT_THAT(a->troubles, IsEmpty());
  pass(seconds(2));
  EXPECT_THAT(a->troubles, ElementsAre(HasSubstr("no answer within 10 s")));
  pass(seconds(10));
  EXPECT_TRUE(a->leads());
}

TEST_F(LeaderElectionTest, StolenLeaseIsGivenUpAtOnce) {
  const auto a = leader("a");
  put_lease("thief");
  pass(seconds(2));
  EXPECT_FALSE(a->leads());
  EXPECT_THAT(a->leaders, ElementsAre("a", "thief"));
  pass(seconds(10));
  EXPECT_FALSE(a->leads());
  EXPECT_LE(seconds_until_leading(*a), 12);  // the thief does not renew it
}

TEST_F(LeaderElectionTest, DeletedLeaseIsMadeAgain) {
  const auto a = leader("a");
  server_.remove("coordination.k8s.io/v1", "Lease", "epp", "prod");
  pass(seconds(3));
  EXPECT_TRUE(a->leads());
  EXPECT_EQ(lease()["spec"]["holderIdentity"], "a");
  EXPECT_THAT(a->turns, ElementsAre(true));
}

TEST_F(LeaderElectionTest, LeaseThatSomebodyElseEditedIsReadAgainAndKept) {
  const auto a = leader("a");
  Json edited = lease();
  edited["metadata"]["labels"] = {{"team", "x"}};
  edited["metadata"]["ownerReferences"] = {{{"uid", "1"}}};
  server_.put(edited);
  pass(seconds(20));
  EXPECT_TRUE(a->leads());
  EXPECT_THAT(a->turns, ElementsAre(true));
  EXPECT_EQ(lease()["metadata"]["labels"]["team"], "x");  // what was there stays
  EXPECT_EQ(lease()["metadata"]["ownerReferences"].size(), 1u);
}

TEST_F(LeaderElectionTest, ALabelIsNoRenewal) {
  put_lease("dead");
  const auto a = candidate("a");
  for (int i = 0; i < 17; ++i) {
    pass(seconds(1));
    Json edited = lease();
    edited["metadata"]["labels"] = {{"turn", std::to_string(i)}};
    server_.put(edited);
  }
  EXPECT_LE(seconds_until_leading(*a), 5);
}

TEST_F(LeaderElectionTest, ClockThatIsWrongByAnHourChangesNothing) {
  const auto a = leader("a");
  const WallOf ahead(executor_, kStart + std::chrono::hours(1));
  Candidate b(executor_, server_, "b", ahead, 7);
  pass(seconds(60));
  EXPECT_TRUE(a->leads());
  EXPECT_FALSE(b.leads());
  a->die();
  EXPECT_GE(seconds_until_leading(b), 13);
}

TEST_F(LeaderElectionTest, LengthThatTheHolderWroteCounts) {
  put_lease("other", 40);
  const auto a = candidate("a");
  EXPECT_GE(seconds_until_leading(*a), 40);
}

TEST_F(LeaderElectionTest, ReleasedLeaseIsTakenAtOnce) {
  const auto a = leader("a");
  pass(seconds(20));
  bool released = false;
  a->election->release([&] { released = true; });
  EXPECT_FALSE(a->leads());
  EXPECT_FALSE(released);
  pass(Duration::zero());
  EXPECT_TRUE(released);
  EXPECT_EQ(lease()["spec"]["holderIdentity"], "");
  EXPECT_EQ(lease()["spec"]["leaseDurationSeconds"], 1);
  const auto b = leader("b");
  const auto c = candidate("c");
  pass(seconds(20));
  b->election->release([] {});
  EXPECT_LE(seconds_until_leading(*c), 0.1);  // it watches
  pass(seconds(60));
  EXPECT_THAT(a->turns, ElementsAre(true, false));  // it is no candidate any more
}

TEST_F(LeaderElectionTest, ReleaseWorksWhileARenewalIsUnderWay) {
  const auto a = leader("a");
  server_.script({.what = ScriptedStep::Do::kStall, .fits = "PUT"});
  pass(seconds(2));
  EXPECT_EQ(server_.stalled(), 1u);
  put_lease("a");  // it had come to the server
  bool released = false;
  a->election->release([&] { released = true; });
  pass(Duration::zero());
  EXPECT_TRUE(released);
  EXPECT_EQ(lease()["spec"]["holderIdentity"], "");
}

TEST_F(LeaderElectionTest, ReleaseOfWhoDoesNotLeadWritesNothing) {
  put_lease("other");
  const auto a = candidate("a");
  pass(seconds(1));
  bool released = false;
  a->election->release([&] { released = true; });
  pass(seconds(60));
  EXPECT_TRUE(released);
  EXPECT_EQ(lease()["spec"]["holderIdentity"], "other");
}

TEST_F(LeaderElectionTest, ReleaseWithoutAServerEndsAtTheDeadline) {
  const auto a = leader("a");
  server_.script({.what = ScriptedStep::Do::kStall, .fits = "PUT"});
  bool released = false;
  a->election->release([&] { released = true; });
  pass(seconds(9));
  EXPECT_FALSE(released);
  pass(seconds(1));
  EXPECT_TRUE(released);
}

TEST_F(LeaderElectionTest, TroubleIsToldOnceInTheServersWords) {
  server_.script({.fits = "GET",
                  .code = 403,
                  .reason = "Forbidden",
                  .message = "leases is forbidden",
                  .times = 5});
  const auto a = candidate("a");
  pass(seconds(60));
  EXPECT_THAT(a->troubles, ElementsAre("the lease prod/epp: leases is forbidden"));
  EXPECT_TRUE(a->leads());
}

TEST_F(LeaderElectionTest, WrongAnswersAreTroubleAndNoLease) {
  const std::pair<const char*, const char*> bodies[] = {
      {"{", "the answer cannot be used"},
      {R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"epp","namespace":"prod"}})",
       "it is no Lease"},
      {R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"epp"},)"
       R"("spec":{"leaseDurationSeconds":"long"}})",
       "leaseDurationSeconds"}};
  for (const auto& [body, expected] : bodies) {
    server_.script({.what = ScriptedStep::Do::kBody, .fits = "GET", .body = body});
    const auto a = candidate("a");
    pass(seconds(1));
    EXPECT_THAT(a->troubles, ElementsAre(HasSubstr(expected)));
    EXPECT_FALSE(a->leads());
  }
}

TEST_F(LeaderElectionTest, ConflictsAreRacesNotTroubles) {
  server_.script({.fits = "POST", .code = 409, .reason = "AlreadyExists"});
  const auto a = candidate("a");
  pass(seconds(5));
  EXPECT_TRUE(a->leads());
  server_.script({.fits = "PUT", .code = 409, .reason = "Conflict", .times = 2});
  pass(seconds(30));
  EXPECT_THAT(a->turns, ElementsAre(true));
  EXPECT_THAT(a->troubles, IsEmpty());
  EXPECT_EQ(server_.requests_of(std::string("POST ") + kLeases), 2u);
}

// Whatever the network does, two never lead at one time.
TEST_F(LeaderElectionTest, NeverTwoLead) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    std::vector<std::unique_ptr<Candidate>> all;
    all.reserve(3);
    for (int i = 0; i < 3; ++i) all.push_back(candidate(std::to_string(seed * 100 + i)));
    for (int step = 0; step < 60; ++step) {
      const size_t which = random.below(all.size());
      switch (random.below(6)) {
        case 0:
          all[which]->api.go_away();
          break;
        case 1:
          all[which]->api.come_back();
          break;
        case 2:
          all[which]->die();
          all[which] = candidate(std::to_string(seed * 100 + 10 + step));
          break;
        case 3:
          server_.script({.what = ScriptedStep::Do::kStall, .fits = "lease"});
          break;
        case 4:
          server_.go_on();
          break;
        default:
          break;
      }
      pass(scaled(seconds(5), random.uniform()));
      size_t leading = 0;
      for (const auto& one : all) leading += one->leads() ? 1 : 0;
      ASSERT_LE(leading, 1u) << "seed " << seed << " step " << step;
    }
    server_.clear_script();
    for (const auto& one : all) one->api.come_back();
    pass(seconds(60));
    size_t leading = 0;
    for (const auto& one : all) leading += one->leads() ? 1 : 0;
    ASSERT_EQ(leading, 1u) << "seed " << seed;
  }
}

}  // namespace
}  // namespace kvasir
