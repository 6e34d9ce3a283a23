// Who is refused, given up or ended, and how (endpoint_picker.md §1.4 and §6).
#include "flow/flow_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Outcome = FlowOutcome;

class FlowDrops : public FlowTest {};

TEST_F(FlowDrops, WhatFindsItsBandOrTheWholeQueueFullIsRejectedForCapacity) {
  const struct {
    const char* name;
    std::optional<uint64_t> requests_most, bytes_most;  // of all
    uint64_t band_requests, band_bytes;
    bool held;  // a second request of 100 bytes, in the same band
  } cases[] = {
      {"room for both", 2, 200, 2, 200, true},
      {"unlimited", {}, {}, 5000, 1'000'000'000, true},
      {"all requests", 1, {}, 5000, 1'000'000, false},
      {"all bytes", {}, 199, 5000, 1'000'000, false},
      {"the band's requests", {}, {}, 1, 1'000'000, false},
      {"the band's bytes", {}, {}, 5000, 199, false},
  };
  fill();
  for (const auto& test : cases) {
    settings_.config.requests_most = test.requests_most;
    settings_.config.bytes_most = test.bytes_most;
    settings_.config.default_band.requests_most = test.band_requests;
    settings_.config.default_band.bytes_most = test.band_bytes;
    controller_.reset();
    EXPECT_FALSE(enqueue(item("a"))->at_once) << test.name;
    const Item b = enqueue(item("b"));
    EXPECT_EQ(b->at_once, test.held ? std::nullopt : std::optional(Outcome::kRejectedCapacity))
        << test.name;
  }
}

TEST_F(FlowDrops, AFullBandDoesNotHinderAnother) {
  band(10);
  settings_.config.default_band.requests_most = 1;
  fill();
  enqueue(item("a"));
  EXPECT_EQ(enqueue(item("b"))->at_once, Outcome::kRejectedCapacity);
  EXPECT_FALSE(enqueue(item("c", 10))->at_once);
}

TEST_F(FlowDrops, CapacityComesBackWhenSomebodyLeaves) {
  settings_.config.default_band.requests_most = 1;
  fill();
  const Item a = enqueue(item("a"));
  EXPECT_TRUE(controller().cancel(*a));
  EXPECT_FALSE(enqueue(item("b"))->at_once);
}

TEST_F(FlowDrops, WhatWaitedItsTimeIsGivenUp) {
  fill();
  const Item a = enqueue(item("a"));
  advance(seconds(60) - Duration(1));
  EXPECT_FALSE(a->later);
  advance(Duration(1));
  EXPECT_EQ(a->later, Outcome::kEvictedTtl);
  EXPECT_EQ(a->held_for(), seconds(60));
  EXPECT_TRUE(controller().idle());
}

TEST_F(FlowDrops, ABandsOwnTimeShortensTheOneOfAll) {
  PriorityBandConfig hasty = settings_.config.default_band;
  hasty.priority = 1;
  hasty.default_request_ttl = seconds(5);
  PriorityBandConfig patient = settings_.config.default_band;
  patient.priority = 2;
  patient.default_request_ttl = seconds(600);  // longer than that of all: it says nothing
  settings_.config.bands = {patient, hasty};
  fill();
  const Item short_one = enqueue(item("a", 1));
  const Item long_one = enqueue(item("b", 2));
  advance(seconds(5));
  EXPECT_EQ(short_one->later, Outcome::kEvictedTtl);
  EXPECT_FALSE(long_one->later);
  advance(seconds(55));
  EXPECT_EQ(long_one->later, Outcome::kEvictedTtl);
}

TEST_F(FlowDrops, WhatIsGivenUpIsNotDispatchedInTheSameCycle) {
  fill();
  const Item a = enqueue(item("a"));
  clock_.advance(seconds(60));
  release();
  EXPECT_EQ(a->later, Outcome::kEvictedTtl);
  EXPECT_THAT(dispatched_, IsEmpty());
}

TEST_F(FlowDrops, AnEmptyPoolHoldsRequestsForItsOwnTime) {
  settings_.config.no_endpoint_request_ttl = seconds(300);
  pool_.endpoints = 0;
  const Item a = enqueue(item("a"));
  EXPECT_FALSE(a->at_once);
  advance(seconds(299));
  EXPECT_FALSE(a->later);
  advance(seconds(1));
  EXPECT_EQ(a->later, Outcome::kEvictedTtlNoEndpoints);
}

TEST_F(FlowDrops, AnEmptyPoolWithoutAWaitingRoomRejects) {
  settings_.config.no_endpoint_request_ttl = Duration::zero();
  pool_.endpoints = 0;
  EXPECT_EQ(enqueue(item("a"))->at_once, Outcome::kRejectedNoEndpoints);
}

TEST_F(FlowDrops, AnEndpointThatComesUpTakesWhoWaited) {
  settings_.config.no_endpoint_request_ttl = seconds(300);
  pool_.endpoints = 0;
  const Item a = enqueue(item("a"));
  advance(seconds(200));
  pool_.endpoints = 1;
  controller().run();
  EXPECT_EQ(a->later, Outcome::kDispatched);
}

TEST_F(FlowDrops, TimeInAnEmptyPoolDoesNotCountAgainstTheOrdinaryTime) {
  settings_.config.no_endpoint_request_ttl = seconds(300);
  pool_.endpoints = 0;
  const Item a = enqueue(item("a"));
  advance(seconds(200));
  pool_.endpoints = 1;
  fill();
  controller().run();
  advance(seconds(59));
  EXPECT_FALSE(a->later);
  advance(seconds(1));
  EXPECT_EQ(a->later, Outcome::kEvictedTtl);
}

TEST_F(FlowDrops, APoolThatBecomesEmptyGivesUpWhoWaitedTooLongForThat) {
  settings_.config.no_endpoint_request_ttl = seconds(10);
  fill();
  const Item late = enqueue(item("late"));
  clock_.advance(seconds(15));
  const Item early = enqueue(item("early"));
  pool_.endpoints = 0;
  controller().run();
  EXPECT_EQ(late->later, Outcome::kEvictedNoEndpoints);
  EXPECT_FALSE(early->later);
  advance(seconds(10));
  EXPECT_EQ(early->later, Outcome::kEvictedTtlNoEndpoints);
}

TEST_F(FlowDrops, APoolThatEmptiesUnderADispatchKeepsTheRequest) {
  struct Emptying final : FlowItem {
    Emptying(const Request& r, FakePool& p) : FlowItem(r, 1), pool(p) {}
    Refusal dispatch() override {
      pool.endpoints = 0;
      return Refusal::kNoEndpoints;
    }
    void finished(FlowOutcome outcome) override { later = outcome; }
    FakePool& pool;
    std::optional<FlowOutcome> later;
  };
  Request request;
  const auto emptying = std::make_shared<Emptying>(request, pool_);
  EXPECT_FALSE(controller().enqueue(emptying));
  EXPECT_EQ(controller().stats().requests, 1u);
}

TEST_F(FlowDrops, WhatTheSchedulerRefusesIsToldSo) {
  const std::pair<Refusal, Outcome> cases[] = {
      {Refusal::kFiltered, Outcome::kFiltered},
      {Refusal::kNotAdmitted, Outcome::kNotAdmitted},
      {Refusal::kNoEndpoints, Outcome::kNoCandidates},  // of its own: the pool has some
  };
  for (const auto& [refusal, outcome] : cases) {
    pool_.refusal = refusal;
    EXPECT_EQ(enqueue(item("a"))->at_once, outcome);
    fill();
    const Item held = enqueue(item("b"));
    release();
    EXPECT_EQ(held->later, outcome);
  }
  EXPECT_EQ(pool_.in_flight, 0);
}

TEST_F(FlowDrops, WhoseClientLeftIsForgottenAndCounted) {
  fill();
  const Item a = enqueue(item("a"));
  clock_.advance(milliseconds(3));
  EXPECT_TRUE(controller().cancel(*a));
  EXPECT_FALSE(controller().cancel(*a));
  EXPECT_TRUE(controller().idle());
  EXPECT_FALSE(controller().run());
  release();
  EXPECT_FALSE(a->later);
  EXPECT_THAT(dispatched_, IsEmpty());
  EXPECT_THAT(probe_.outcomes, ElementsAre("t@0 EvictedContextCancelled 3ms"));
}

TEST_F(FlowDrops, WhoWasDispatchedCannotBeCancelled) {
  const Item a = enqueue(item("a"));
  EXPECT_FALSE(controller().cancel(*a));
  end(*a);
  EXPECT_FALSE(controller().cancel(*a));
}

TEST_F(FlowDrops, ADrainGivesUpAllThatIsHeldAndRefusesTheRest) {
  fill();
  const Item a = enqueue(item("a"));
  const Item b = enqueue(item("b", -3));
  controller().drain();
  EXPECT_EQ(a->later, Outcome::kShuttingDown);
  EXPECT_EQ(b->later, Outcome::kShuttingDown);
  pool_.in_flight = 0;
  EXPECT_EQ(enqueue(item("c"))->at_once, Outcome::kShuttingDown);
}

class FlowEviction : public FlowTest {
 protected:
  FlowEviction() {
    settings_.plugins.eviction_filter = &below_zero_;
    settings_.plugins.eviction_order = &lowest_first_;
    band(-1);
    band(-2);
  }
  // So many requests of a priority in flight, and the pool full with them.
  std::vector<Item> in_flight(const std::vector<int32_t>& priorities) {
    pool_.capacity = static_cast<double>(priorities.size());
    std::vector<Item> items;
    for (const int32_t priority : priorities) items.push_back(enqueue(item("victim", priority)));
    for (const Item& sent : items) EXPECT_EQ(sent->at_once, Outcome::kDispatched);
    return items;
  }
};

TEST_F(FlowEviction, ARequestThatWaitsEndsTwoSheddableOnesTheLowestFirst) {
  const std::vector<Item> victims = in_flight({-1, -2, 0, -2});
  const Item high = enqueue(item("high"));
  EXPECT_FALSE(victims[0]->eviction);
  EXPECT_EQ(victims[1]->eviction, Outcome::kEvictedPriority);
  EXPECT_FALSE(victims[2]->eviction);
  EXPECT_EQ(victims[3]->eviction, Outcome::kEvictedPriority);
  EXPECT_EQ(controller().stats().revocations.issued, 2u);
  EXPECT_FALSE(high->later);
  end(*victims[1]);
  EXPECT_EQ(high->later, Outcome::kDispatched);
}

TEST_F(FlowEviction, WhatWasAskedForIsNotAskedForAgain) {
  const std::vector<Item> victims = in_flight({-1, -1, -1, -1});
  enqueue(item("a"));
  enqueue(item("b"));
  controller().run();
  EXPECT_EQ(controller().stats().revocations.pending, 2u);
}

TEST_F(FlowEviction, TheNextDecisionWaitsUntilTheSaturationHadTimeToShowTheLast) {
  const std::vector<Item> victims = in_flight({-1, -1, -1, -1});
  for (const char* name : {"a", "b", "c"}) enqueue(item(name));
  clock_.advance(milliseconds(4));
  end(*victims[3]);
  end(*victims[2]);  // each lets one in: "c" still waits
  EXPECT_THAT(probe_.revoked, ElementsAre(milliseconds(4), milliseconds(4)));
  EXPECT_EQ(controller().run(), clock_.now() + milliseconds(10));
  EXPECT_FALSE(victims[0]->eviction);
  advance(milliseconds(10));
  EXPECT_TRUE(victims[0]->eviction);
  EXPECT_TRUE(victims[1]->eviction);
  EXPECT_EQ(controller().stats().revocations.confirmed, 2u);
}

TEST_F(FlowEviction, AVictimThatDoesNotEndInTimeIsGivenUpOn) {
  const std::vector<Item> victims = in_flight({-1, -1, -1});
  const Item high = enqueue(item("high"));
  advance(seconds(10) - Duration(1));
  EXPECT_EQ(controller().stats().revocations.issued, 2u);
  advance(Duration(1));
  const RevocationStats stats = controller().stats().revocations;
  EXPECT_EQ(stats.timed_out, 2u);
  EXPECT_EQ(stats.issued, 3u);  // the one that is left
  end(*victims[2]);             // late: it is no victim any more
  EXPECT_EQ(controller().stats().revocations.confirmed, 0u);
  EXPECT_EQ(high->later, Outcome::kDispatched);
}

TEST_F(FlowEviction, ASheddableRequestEndsOnlyThoseBelowIt) {
  const std::vector<Item> victims = in_flight({-1, -2});
  enqueue(item("sheddable", -1));
  EXPECT_FALSE(victims[0]->eviction);
  EXPECT_TRUE(victims[1]->eviction);
}

TEST_F(FlowEviction, AFullQueueIsTheReasonWhenThereIsOne) {
  settings_.config.default_band.requests_most = 1;
  const std::vector<Item> victims = in_flight({-1});
  enqueue(item("high"));
  EXPECT_EQ(victims[0]->eviction, Outcome::kEvictedQueuePressure);
}

TEST_F(FlowEviction, WithoutAFilterNobodyIsEnded) {
  settings_.plugins.eviction_filter = nullptr;
  const std::vector<Item> victims = in_flight({-1});
  enqueue(item("high"));
  EXPECT_FALSE(victims[0]->eviction);
}

// Whoever looks at requests that nobody lets go must be able to find out why.
TEST_F(FlowTest, ThatEveryMetricIsTooOldIsToldOnceAndThatItIsOver) {
  pool_.endpoints = 3;
  pool_.stale = 2;
  enqueue(item("a"));
  EXPECT_TRUE(probe_.stale.empty());
  pool_.stale = 3;
  for (const char* name : {"b", "c", "d"}) enqueue(item(name));
  EXPECT_THAT(probe_.stale, ElementsAre("all 3"));
  EXPECT_EQ(controller().stats().saturation.stale_endpoints, 3u);
  pool_.stale = 1;
  advance(std::chrono::seconds(1));
  EXPECT_THAT(probe_.stale, ElementsAre("all 3", "not all 3"));
}

}  // namespace
}  // namespace kvasir
