// Who waits, and who goes first (endpoint_picker.md §6).
#include <thread>

#include "base/random.h"
#include "flow/flow_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Outcome = FlowOutcome;

class FlowOrder : public FlowTest {};

TEST_F(FlowOrder, APoolWithRoomTakesARequestAtOnce) {
  const Item a = enqueue(item("a"));
  EXPECT_EQ(a->at_once, Outcome::kDispatched);
  EXPECT_EQ(a->held_for(), Duration::zero());
  EXPECT_FALSE(a->later);
  EXPECT_TRUE(controller().idle());
  EXPECT_FALSE(controller().run());
}

TEST_F(FlowOrder, AFullPoolHoldsThemAndTakesThemWhenItHasRoom) {
  fill();
  const Item a = enqueue(item("a"));
  EXPECT_FALSE(a->at_once);
  EXPECT_FALSE(controller().idle());
  clock_.advance(milliseconds(5));
  release();
  EXPECT_EQ(a->later, Outcome::kDispatched);
  EXPECT_EQ(a->held_for(), milliseconds(5));
  EXPECT_TRUE(controller().idle());
}

TEST_F(FlowOrder, OneCycleSendsAsManyAsThePoolTakes) {
  fill();
  std::vector<Item> items;
  for (const char* name : {"a", "b", "c", "d"}) items.push_back(enqueue(item(name)));
  pool_.capacity = 4;  // one is in flight
  controller().run();
  EXPECT_THAT(dispatched_, ElementsAre("a", "b", "c"));
  EXPECT_FALSE(items[3]->later);
}

TEST_F(FlowOrder, ACycleEndsAfterSoManyAndAsksToGoOnAtOnce) {
  fill();
  const size_t count = FlowController::kDispatchesMost + 3;
  for (size_t i = 0; i < count; ++i) enqueue(item("x"));
  pool_.capacity = 1e6;
  EXPECT_EQ(controller().run(), clock_.now());
  EXPECT_EQ(dispatched_.size(), FlowController::kDispatchesMost);
  EXPECT_FALSE(controller().run());
  EXPECT_EQ(dispatched_.size(), count);
}

TEST_F(FlowOrder, HigherBandsGoFirstAndInsideABandWhoCameFirst) {
  band(10);
  band(-1);
  fill();
  for (const auto& [name, priority] : std::vector<std::pair<const char*, int>>{
           {"low", -1}, {"mid1", 0}, {"high1", 10}, {"mid2", 0}, {"high2", 10}}) {
    enqueue(item(name, priority));
  }
  EXPECT_THAT(order(), ElementsAre("high1", "high2", "mid1", "mid2", "low"));
}

TEST_F(FlowOrder, TheFairnessPolicyChoosesBetweenTenants) {
  settings_.config.default_band.fairness_policy = "turns";
  fill();
  for (const char* name : {"a1", "a2", "a3", "b1", "c1"})
    enqueue(item(name, 0, std::string_view(name, 1)));
  EXPECT_THAT(order(), ElementsAre("a1", "b1", "a2", "c1", "a3"));
}

TEST_F(FlowOrder, TheOrderingPolicyChoosesInsideATenant) {
  settings_.config.default_band.ordering_policy = "shortest";
  fill();
  enqueue(item("long", 0, "t", 1, 300));
  enqueue(item("short", 0, "t", 1, 10));
  enqueue(item("middle", 0, "u", 1, 100));
  EXPECT_THAT(order(), ElementsAre("short", "middle", "long"));
}

TEST_F(FlowOrder, ARankThatChangesIsAskedForAgain) {
  settings_.config.default_band.ordering_policy = "shortest";
  fill();
  const Item grows = enqueue(item("grows", 0, "t", 1, 10));
  enqueue(item("stays", 0, "t", 1, 20));
  grows->owned->prompt_tokens = 30;
  EXPECT_THAT(order(), ElementsAre("stays", "grows"));
}

TEST_F(FlowOrder, WhoIsNearItsDeadlineGoesBeforeAllRanks) {
  settings_.config.default_band.ordering_policy = "shortest";
  settings_.config.default_request_ttl = seconds(5);
  fill();
  enqueue(item("long", 0, "t", 1, 300));
  clock_.advance(milliseconds(4000));
  enqueue(item("short", 0, "t", 1, 1));
  enqueue(item("other tenant", 0, "a", 1, 1));
  EXPECT_THAT(order(), ElementsAre("long", "short", "other tenant"));
}

TEST_F(FlowOrder, WhileTheFirstBandIsOverItsCeilingNobodyGoes) {
  // Head of line: the lower band could send (its ceiling is higher), and must not.
  class Inverted final : public UsageLimitPolicy {
    double ceiling(int32_t priority, std::span<const int32_t>) const override {
      return priority > 0 ? .2 : 1;
    }
  } inverted;
  settings_.plugins.usage_limit = &inverted;
  band(10);
  pool_.capacity = 10;
  pool_.in_flight = 5;
  EXPECT_FALSE(enqueue(item("high", 10))->at_once);
  EXPECT_FALSE(enqueue(item("low", 0))->at_once);
  controller().run();
  EXPECT_THAT(dispatched_, IsEmpty());
  pool_.in_flight = 1;
  controller().run();
  EXPECT_THAT(dispatched_, ElementsAre("high", "low"));
}

TEST_F(FlowOrder, ABandWithALowerCeilingStopsEarlier) {
  settings_.plugins.usage_limit = &ceilings_;  // .5 below 0
  band(-1);
  pool_.capacity = 4;
  pool_.in_flight = 1;
  EXPECT_EQ(enqueue(item("low1", -1))->at_once, Outcome::kDispatched);
  EXPECT_FALSE(enqueue(item("low2", -1))->at_once);
  EXPECT_EQ(enqueue(item("high", 0))->at_once, Outcome::kDispatched);
}

TEST_F(FlowOrder, WhoComesToAPoolWithRoomDoesNotOvertakeWhoWaits) {
  fill();
  enqueue(item("first"));
  pool_.capacity = 2;
  const Item second = enqueue(item("second"));
  EXPECT_THAT(dispatched_, ElementsAre("first"));
  EXPECT_FALSE(second->at_once);
  release();
  EXPECT_EQ(second->later, Outcome::kDispatched);
}

class FlowBands : public FlowTest {};

TEST_F(FlowBands, APriorityWithoutABandFallsBackToBandZero) {
  band(10);
  fill();
  enqueue(item("unknown", 7));
  enqueue(item("zero", 0));
  enqueue(item("known", 10));
  const FlowStats stats = controller().stats();
  ASSERT_EQ(stats.bands.size(), 2u);
  EXPECT_EQ(stats.bands[0].requests, 1u);
  EXPECT_EQ(stats.bands[1].priority, 0);
  EXPECT_EQ(stats.bands[1].requests, 2u);
  EXPECT_THAT(order(), ElementsAre("known", "unknown", "zero"));
}

TEST_F(FlowBands, PrioritiesMadeAtRunTimeGetTheTemplateOfTheirSign) {
  settings_.config.default_band.requests_most = 7;
  settings_.config.default_negative_band.requests_most = 3;
  band(10, {0, 1, 1, "turns", "fcfs-ordering-policy", 0});
  controller().set_priorities({10, 5, -5});
  const FlowStats stats = controller().stats();
  ASSERT_EQ(stats.bands.size(), 4u);
  const std::pair<int64_t, uint64_t> expected[] = {{10, 1}, {5, 7}, {0, 7}, {-5, 3}};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(stats.bands[i].priority, expected[i].first);
    EXPECT_EQ(stats.bands[i].requests_most, expected[i].second);
  }
}

TEST_F(FlowBands, ABandThatGoesAwayLeavesItsRequestsToBandZero) {
  controller().set_priorities({5});
  fill();
  enqueue(item("five", 5));
  controller().set_priorities({});
  EXPECT_EQ(controller().stats().bands.size(), 1u);
  EXPECT_THAT(order(), ElementsAre("five"));
}

TEST_F(FlowBands, BeyondTheMostBandsPrioritiesFallBackToBandZero) {
  std::vector<int32_t> priorities;
  for (int32_t i = 1; i <= 100; ++i) priorities.push_back(i);
  controller().set_priorities(priorities);
  EXPECT_EQ(controller().stats().bands.size(), FlowController::kBandsMost);
}

TEST_F(FlowBands, AReconfigurationKeepsWhatIsHeld) {
  fill();
  const Item a = enqueue(item("a", 10));
  const Item b = enqueue(item("b", 0));
  const Item c = enqueue(item("c", 0, "t", 1, 0));
  FlowSettings next = settings_;
  next.config.bands.push_back({-10, 1, 1, "turns", "fcfs-ordering-policy", 0});
  next.config.default_band.requests_most = 1;  // less than there is: nobody is thrown out
  next.config.default_band.ordering_policy = "shortest";
  next.config.default_request_ttl = seconds(3);
  controller().reconfigure(next);
  EXPECT_EQ(enqueue(item("d"))->at_once, Outcome::kRejectedCapacity);
  EXPECT_THAT(order(), ElementsAre("c", "a", "b"));
  EXPECT_EQ(a->later, Outcome::kDispatched);
}

TEST_F(FlowBands, AReconfigurationChangesDeadlines) {
  fill();
  const Item a = enqueue(item("a"));
  clock_.advance(seconds(5));
  FlowSettings next = settings_;
  next.config.default_request_ttl = seconds(3);
  controller().reconfigure(next);
  EXPECT_EQ(a->later, Outcome::kEvictedTtl);
}

class FlowRun : public FlowTest {};

TEST_F(FlowRun, ItNamesTheTimeOfItsNextRun) {
  settings_.config.default_request_ttl = milliseconds(25);
  fill();
  enqueue(item("a"));
  EXPECT_EQ(controller().run(), clock_.now() + FlowController::kPollInterval);
  pool_.falls_in = milliseconds(3);
  EXPECT_EQ(controller().run(), clock_.now() + milliseconds(3));
  pool_.falls_in = seconds(3);
  EXPECT_EQ(controller().run(), clock_.now() + FlowController::kPollInterval);
  clock_.advance(milliseconds(20));
  EXPECT_EQ(controller().run(), clock_.now() + milliseconds(5));  // its deadline
}

TEST_F(FlowRun, TheProbeHearsOfEveryOutcome) {
  fill();
  enqueue(item("a", 3, "ann"));
  clock_.advance(milliseconds(7));
  release();
  pool_.in_flight = 0;
  enqueue(item("b", 0, "bob"));
  EXPECT_THAT(probe_.outcomes, ElementsAre("ann@0 Dispatched 7ms", "bob@0 Dispatched 0ms"));
}

TEST_F(FlowRun, StatsTellWhoWaitsWhere) {
  settings_.config.requests_most = 9;
  fill();
  enqueue(item("a", 0, "ann", 10));
  enqueue(item("b", 0, "bob", 20));
  enqueue(item("c", 0, "bob", 30));
  const FlowStats stats = controller().stats();
  EXPECT_EQ(stats.requests, 3u);
  EXPECT_EQ(stats.bytes, 60u);
  EXPECT_EQ(stats.requests_most, 9u);
  EXPECT_FALSE(stats.bytes_most);
  EXPECT_DOUBLE_EQ(stats.saturation.decode, 1);
  ASSERT_EQ(stats.bands.at(0).flows.size(), 2u);
  EXPECT_EQ(stats.bands[0].flows[1].fairness_id, "bob");
  EXPECT_EQ(stats.bands[0].flows[1].requests, 2u);
  EXPECT_EQ(stats.bands[0].flows[1].bytes, 50u);
}

TEST_F(FlowRun, TheFairnessPolicyHearsWhatARequestTook) {
  const Item a = enqueue(item("a", 0, "ann"));
  end(*a);
  EXPECT_THAT(first_of_all_.heard, ElementsAre("ann 10+3"));
}

TEST_F(FlowRun, AnEndMakesRoomForTheNext) {
  const Item a = enqueue(item("a"));
  const Item b = enqueue(item("b"));
  end(*a);
  EXPECT_EQ(b->later, Outcome::kDispatched);
}

// Many threads come, leave and end at once: whatever happened, nothing stays held or booked.
TEST_F(FlowRun, ThreadsThatRaceLeaveNothingBehind) {
  struct Slow final : FlowItem {
    Slow(const Request& r, std::atomic<int>& count) : FlowItem(r, 1), in_flight(count) {}
    Refusal dispatch() override {
      ++in_flight;
      return Refusal::kNone;
    }
    void finished(FlowOutcome outcome) override { told = static_cast<int>(outcome); }
    std::atomic<int>& in_flight;
    std::atomic<int> told{-1};
  };
  std::atomic<int> in_flight{0};
  std::atomic<int> outcomes{0};
  SteadyClock clock;
  FlowController racing(clock, settings_, [&] {
    PoolSaturation saturation;
    saturation.endpoints = 1;
    saturation.decode = in_flight;
    return saturation;
  });
  constexpr int kThreads = 4;
  constexpr int kRequests = 5000;
  const auto work = [&](uint64_t seed) {
    Random random(seed);
    for (int i = 0; i < kRequests; ++i) {
      Request request;
      request.fairness_id = seed % 2 == 0 ? "even" : "odd";
      const auto item = std::make_shared<Slow>(request, in_flight);
      std::optional<FlowOutcome> outcome = racing.enqueue(item);
      bool cancelled = false;
      if (!outcome && random.below(2) == 0) {
        cancelled = racing.cancel(*item);
        if (!cancelled) {
          while (item->told < 0) std::this_thread::yield();
        }
      }
      while (!outcome && !cancelled && item->told < 0) {
        racing.run();
        std::this_thread::yield();
      }
      ++outcomes;
      if (cancelled) continue;
      if (!outcome) outcome = static_cast<FlowOutcome>(item->told.load());
      ASSERT_EQ(*outcome, FlowOutcome::kDispatched);
      --in_flight;
      racing.ended(*item, 0, 0);
    }
  };
  std::vector<std::thread> threads;
  for (uint64_t seed = 0; seed < kThreads; ++seed) threads.emplace_back(work, seed);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(outcomes, kThreads * kRequests);
  EXPECT_EQ(in_flight, 0);
  EXPECT_TRUE(racing.idle());
}

}  // namespace
}  // namespace kvasir
