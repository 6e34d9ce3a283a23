#include "scheduling/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <thread>

#include "fleet/fleet.h"
#include "scheduling/policy.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;

// What a FakePolicy saw; no lock, so that a thread checker catches calls outside the scheduler's
// mutex.
struct Log {
  std::vector<EndpointId> candidates;
  std::vector<EndpointId> avoided;
  bool widened = false;
  std::vector<EndpointId> tried;
  std::optional<EndpointId> needed;  // without it the policy finds nobody
  std::map<RequestId, std::string> calls;
  TimePoint last{};
  bool time_ran_backwards = false;
  std::vector<EndpointId> replaced;
  std::vector<BlockSize> views = {};  // that the policy wants
};

class FakePolicy final : public Policy {
 public:
  explicit FakePolicy(Log& log) : log_(log) {}

  std::optional<Decision> pick(const PickContext& context) override {
    note(context.request.id, "p", context.now);
    log_.candidates.assign(context.candidates.begin(), context.candidates.end());
    log_.avoided.assign(context.avoided.begin(), context.avoided.end());
    log_.widened = context.widened;
    log_.tried.assign(context.tried.begin(), context.tried.end());
    const auto last = context.candidates.end();
    if (log_.needed && std::find(context.candidates.begin(), last, *log_.needed) == last) {
      return std::nullopt;
    }
    Decision decision;
    decision.endpoint = context.candidates.back();
    decision.cached_tokens = 7;
    decision.predicted_prefill = Duration(1);
    decision.predicted_wait = Duration(2);
    return decision;
  }
  void first_token(RequestId request, TimePoint now) override { note(request, "f", now); }
  void ended(RequestId request, TimePoint now) override { note(request, "e", now); }
  void endpoint_replaced(EndpointId endpoint) override { log_.replaced.push_back(endpoint); }
  BlockSizes prompt_views() const override {
    BlockSizes views;
    for (const BlockSize block : log_.views) views.add(block);
    return views;
  }

 private:
  void note(RequestId request, const char* what, TimePoint now) {
    log_.calls[request] += what;
    if (now < log_.last) log_.time_ran_backwards = true;
    log_.last = now;
  }

  Log& log_;
};

class SchedulerTest : public ::testing::Test {
 protected:
  SchedulerTest() : fleet_({Endpoint{"a", "a", 1}, Endpoint{"b", "b", 2}, Endpoint{"c", "c", 3}}) {
    for (uint32_t i = 0; i < 3; ++i) fleet_.set_healthy(EndpointId(i), true);
  }

  static Request request(RequestId id) {
    Request request;
    request.id = id;
    return request;
  }

  Fleet fleet_;
  ManualClock clock_;
  Log log_;
  Scheduler scheduler_{fleet_, std::make_unique<FakePolicy>(log_), clock_};
};

TEST_F(SchedulerTest, ThePoliciesDecisionIsReturnedUnchanged) {
  const Scheduled scheduled = scheduler_.schedule(request(1), {});
  ASSERT_TRUE(scheduled.ok());
  EXPECT_EQ(scheduled.decision.endpoint, EndpointId(2));
  EXPECT_EQ(scheduled.decision.cached_tokens, 7u);
  EXPECT_EQ(scheduled.decision.predicted_prefill, Duration(1));
  EXPECT_EQ(scheduled.decision.predicted_wait, Duration(2));
}

TEST_F(SchedulerTest, ItKnowsTheViewsThatThePolicyInUseWants) {
  const auto wanted = [this] {
    const BlockSizes sizes = scheduler_.prompt_views();
    return std::vector<BlockSize>(sizes.begin(), sizes.end());
  };
  EXPECT_THAT(wanted(), ElementsAre());
  const BlockSize bytes{PromptUnit::kBytes, 64};
  const BlockSize tokens{PromptUnit::kTokens, 64};
  Log two;
  two.views = {bytes, tokens, bytes};
  scheduler_.replace_policy(std::make_unique<FakePolicy>(two));
  EXPECT_THAT(wanted(), ElementsAre(bytes, tokens));
  Log one;
  one.views = {tokens};
  scheduler_.replace_policy(std::make_unique<FakePolicy>(one));
  EXPECT_THAT(wanted(), ElementsAre(tokens));
}

TEST_F(SchedulerTest, AllHealthyEndpointsAreCandidatesInOrder) {
  scheduler_.schedule(request(1), {});
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(0), EndpointId(1), EndpointId(2)));
}

TEST_F(SchedulerTest, UnhealthyAndTriedEndpointsAreNoCandidates) {
  fleet_.set_healthy(EndpointId(1), false);
  const EndpointId tried[] = {EndpointId(2)};
  scheduler_.schedule(request(1), tried);
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(0)));
}

TEST_F(SchedulerTest, ASubsetLeavesOnlyItsHealthyEndpoints) {
  fleet_.set_healthy(EndpointId(0), false);
  const EndpointId allowed[] = {EndpointId(0), EndpointId(1), EndpointId(7)};
  Choice choice;
  choice.allowed = allowed;
  scheduler_.schedule_among(request(1), choice);
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(1)));
  choice.allowed = std::span<const EndpointId>();
  EXPECT_EQ(scheduler_.schedule_among(request(2), choice).refusal, Refusal::kNoEndpoints);
}

TEST_F(SchedulerTest, ANewPolicyHearsTheEndOfOldRequests) {
  scheduler_.schedule(request(1), {});
  Log log;
  scheduler_.replace_policy(std::make_unique<FakePolicy>(log));
  scheduler_.ended(1);
  EXPECT_EQ(log_.calls[1], "p");
  EXPECT_EQ(log.calls[1], "e");
}

TEST_F(SchedulerTest, EjectedEndpointsAreChosenOnlyWhenNobodyElseIsLeft) {
  fleet_.set_healthy(EndpointId(0), false);
  fleet_.set_ejected(EndpointId(1), true);
  scheduler_.schedule(request(1), {});
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(2)));
  fleet_.set_healthy(EndpointId(2), false);
  scheduler_.schedule(request(2), {});
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(1)));
}

TEST_F(SchedulerTest, WhenNobodyIsHealthyThoseThatTakeConnectionsAreTried) {
  for (uint32_t i = 0; i < 3; ++i) fleet_.set_healthy(EndpointId(i), false);
  EXPECT_EQ(scheduler_.schedule(request(1), {}).refusal, Refusal::kNoEndpoints);
  fleet_.set_reachable(EndpointId(0), true);
  fleet_.set_reachable(EndpointId(2), true);
  scheduler_.schedule(request(2), {});
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(0), EndpointId(2)));
  const EndpointId tried[] = {EndpointId(0)};
  scheduler_.schedule(request(3), tried);
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(2)));
  EXPECT_EQ(scheduler_.saturation().endpoints, 2u);
}

TEST_F(SchedulerTest, AHealthyEndpointThatWasTriedIsNoReasonToTryTheUnhealthy) {
  for (uint32_t i = 0; i < 2; ++i) {
    fleet_.set_healthy(EndpointId(i), false);
    fleet_.set_reachable(EndpointId(i), true);
  }
  const EndpointId tried[] = {EndpointId(2)};
  EXPECT_EQ(scheduler_.schedule(request(1), tried).refusal, Refusal::kNoEndpoints);
  // In a subset nobody else counts.
  const EndpointId allowed[] = {EndpointId(0), EndpointId(1)};
  Choice choice;
  choice.allowed = allowed;
  scheduler_.schedule_among(request(2), choice);
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(0), EndpointId(1)));
}

TEST_F(SchedulerTest, AnEndpointThatFailedIsAvoidedForAWhile) {
  using std::chrono::milliseconds;
  scheduler_.avoid(EndpointId(1), milliseconds(100));
  scheduler_.avoid(EndpointId(1), milliseconds(20));  // no sooner
  scheduler_.schedule(request(1), {});
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(0), EndpointId(2)));
  EXPECT_THAT(log_.avoided, ElementsAre(EndpointId(1)));
  clock_.advance(milliseconds(99));
  scheduler_.schedule(request(2), {});
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(0), EndpointId(2)));
  clock_.advance(milliseconds(1));
  scheduler_.schedule(request(3), {});
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(0), EndpointId(1), EndpointId(2)));
  EXPECT_THAT(log_.avoided, ElementsAre());
}

TEST_F(SchedulerTest, AvoidedEndpointsAreBetterThanNoneOrThanAMinority) {
  scheduler_.avoid(EndpointId(0), std::chrono::seconds(1));
  const EndpointId tried[] = {EndpointId(1), EndpointId(2)};
  scheduler_.schedule(request(1), tried);
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(0)));
  scheduler_.avoid(EndpointId(1), std::chrono::seconds(1));
  scheduler_.schedule(request(2), {});
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(0), EndpointId(1), EndpointId(2)));
}

// As the only one that prefills is.
TEST_F(SchedulerTest, WhoeverIsLeftOutIsBetterThanNobodyOfItsRole) {
  log_.needed = EndpointId(1);
  scheduler_.avoid(EndpointId(1), std::chrono::seconds(1));
  EXPECT_TRUE(scheduler_.schedule(request(1), {}).ok());
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(0), EndpointId(1), EndpointId(2)));
  EXPECT_THAT(log_.avoided, ElementsAre());
  fleet_.set_ejected(EndpointId(1), true);
  EXPECT_TRUE(scheduler_.schedule(request(2), {}).ok());
  const EndpointId tried[] = {EndpointId(1)};
  EXPECT_EQ(scheduler_.schedule(request(3), tried).refusal, Refusal::kFiltered);
  fleet_.set_healthy(EndpointId(1), false);
  EXPECT_EQ(scheduler_.schedule(request(4), {}).refusal, Refusal::kFiltered);
}

TEST_F(SchedulerTest, WhoeverTakesConnectionsIsBetterThanNobodyOfItsRole) {
  log_.needed = EndpointId(1);
  fleet_.set_healthy(EndpointId(1), false);
  fleet_.set_reachable(EndpointId(1), true);
  fleet_.set_ejected(EndpointId(2), true);
  EXPECT_TRUE(scheduler_.schedule(request(1), {}).ok());
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(0), EndpointId(1), EndpointId(2)));
  EXPECT_TRUE(log_.widened) << "so that other roles have their best";
  EXPECT_THAT(log_.tried, ElementsAre());
  const EndpointId tried[] = {EndpointId(0)};
  EXPECT_TRUE(scheduler_.schedule(request(2), tried).ok());
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(1), EndpointId(2)));
  EXPECT_THAT(log_.tried, ElementsAre(EndpointId(0))) << "the policy knows of which role it is";
  fleet_.set_reachable(EndpointId(1), false);
  EXPECT_EQ(scheduler_.schedule(request(4), {}).refusal, Refusal::kFiltered);
  // Whom the policy takes at once is one of the best.
  log_.needed.reset();
  EXPECT_TRUE(scheduler_.schedule(request(3), {}).ok());
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(0)));
  EXPECT_FALSE(log_.widened);
}

TEST_F(SchedulerTest, ANewOwnerOfASlotIsNotAvoidedForTheOldOne) {
  scheduler_.avoid(EndpointId(1), std::chrono::seconds(1));
  fleet_.remove(EndpointId(1));
  fleet_.add(Endpoint{"d", "d", 4});
  fleet_.set_healthy(EndpointId(1), true);
  scheduler_.schedule(request(1), {});
  EXPECT_THAT(log_.candidates, ElementsAre(EndpointId(0), EndpointId(1), EndpointId(2)));
}

TEST_F(SchedulerTest, TellsWhetherAHealthyEndpointIsLeft) {
  const EndpointId tried[] = {EndpointId(0), EndpointId(1)};
  EXPECT_TRUE(scheduler_.has_healthy(Choice{tried, {}, nullptr}));
  fleet_.set_ejected(EndpointId(2), true);
  EXPECT_TRUE(scheduler_.has_healthy(Choice{tried, {}, nullptr}));
  fleet_.set_healthy(EndpointId(2), false);
  fleet_.set_reachable(EndpointId(2), true);
  EXPECT_FALSE(scheduler_.has_healthy(Choice{tried, {}, nullptr}));
}

TEST_F(SchedulerTest, ThePolicyHearsOfASlotThatChangedItsOwnerBeforeItPicks) {
  fleet_.remove(EndpointId(1));
  fleet_.add(Endpoint{"b", "b", 2});  // comes back: nothing to forget
  fleet_.remove(EndpointId(0));
  scheduler_.schedule(request(1), {});
  EXPECT_THAT(log_.replaced, ElementsAre());
  fleet_.add(Endpoint{"d", "d", 4});
  scheduler_.schedule(request(2), {});
  scheduler_.schedule(request(3), {});
  EXPECT_THAT(log_.replaced, ElementsAre(EndpointId(0)));
}

TEST_F(SchedulerTest, WithoutACandidateThePolicyIsNotAsked) {
  fleet_.set_healthy(EndpointId(0), false);
  const EndpointId tried[] = {EndpointId(2), EndpointId(1)};
  EXPECT_EQ(scheduler_.schedule(request(1), tried).refusal, Refusal::kNoEndpoints);
  EXPECT_TRUE(log_.calls.empty());
}

TEST_F(SchedulerTest, ThePolicyHearsOfTheRequestsLifeAtTheClocksTime) {
  scheduler_.schedule(request(1), {});
  clock_.advance(Duration(10));
  scheduler_.first_token(1);
  clock_.advance(Duration(10));
  scheduler_.ended(1);
  EXPECT_EQ(log_.calls[1], "pfe");
  EXPECT_EQ(log_.last, TimePoint(Duration(20)));
}

TEST(SchedulerThreads, CallsAreSerialisedAndTimeNeverRunsBackwards) {
  constexpr int kThreads = 4;
  constexpr RequestId kRequestsPerThread = 500;
  Fleet fleet({Endpoint{"a", "a", 1}, Endpoint{"b", "b", 2}});
  fleet.set_healthy(EndpointId(0), true);
  Log log;
  const SteadyClock clock;
  Scheduler scheduler(fleet, std::make_unique<FakePolicy>(log), clock);

  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&scheduler, thread] {
      for (RequestId i = 0; i < kRequestsPerThread; ++i) {
        Request request;
        request.id = 1 + i * kThreads + thread;
        scheduler.schedule(request, {});
        scheduler.first_token(request.id);
        scheduler.ended(request.id);
      }
    });
  }
  for (int i = 0; i < 200; ++i) fleet.set_healthy(EndpointId(1), i % 2 == 0);
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(log.calls.size(), kThreads * kRequestsPerThread);
  for (const auto& [request, calls] : log.calls) EXPECT_EQ(calls, "pfe") << request;
  EXPECT_FALSE(log.time_ran_backwards);
}

}  // namespace
}  // namespace kvasir
