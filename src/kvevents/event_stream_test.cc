#include "kvevents/event_stream.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/virtual_executor_fixture.h"
#include "kvevents/source_tracker_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// One stream, an engine, and the two connections between them, which a test works by hand.
class StreamScene : public ::testing::Test, public EventStreamHost {
 protected:
  explicit StreamScene() : source_(tracker_.add_source(EndpointId{1}, 0, "one").value()) {}

  void make(bool replays) {
    stream_ = std::make_unique<EventStream>(options_, replays, source_, tracker_, *this, budget_,
                                            executor_, counters_);
  }
  void start_replay(uint64_t from) override {
    asked_.push_back(from);
    running_ = true;
  }
  void stop_replay() override { running_ = false; }
  void on_lost(std::string_view why) override { said_.push_back("lost: " + std::string(why)); }
  void on_restarted() override { said_.push_back("restarted"); }
  void on_emptied() override { ++emptied_; }
  void on_caught_up(uint64_t batches, KvFreshness now) override {
    said_.push_back((now == KvFreshness::kExact ? "caught up: " : "in part: ") +
                    std::to_string(batches));
    EXPECT_EQ(now, counters_.freshness.load());
  }
  void on_given_up(std::string_view why, KvFreshness now) override {
    said_.push_back("given up: " + std::string(why));
    given_up_as_ = now;
  }

  // A batch that reaches the stream, or that is lost on its way.
  void live(const std::string& words) {
    const auto [number, batch] = engine_.publish(words);
    stream_->on_live(number, batch);
  }
  void lose(const std::string& words) { engine_.publish(words); }
  // The engine answers the replay that was asked for, with so many batches before the end mark.
  void answer(size_t batches = 1000, bool end = true) {
    ASSERT_TRUE(running_);
    const uint64_t from = asked_.back();
    const size_t replay = asked_.size();
    stream_->on_replay_started();
    for (const auto& [number, batch] : engine_.kept_from(from)) {
      if (batches-- == 0 || !running_ || asked_.size() != replay) return;
      stream_->on_replayed(number, batch);
    }
    if (end && running_ && asked_.size() == replay) stream_->on_replay_ended();
  }
  void pass(Duration time) { executor_.run_until(executor_.now() + time); }

  WordTracker::Source known() const { return tracker_.sources().front(); }
  KvFreshness freshness() const { return known().freshness; }
  void expect_exact() const {
    EXPECT_EQ(freshness(), KvFreshness::kExact);
    EXPECT_EQ(known().blocks, engine_.blocks());
  }

  EventStreamOptions options_;
  VirtualExecutor executor_;
  WordTracker tracker_;
  KvSourceId source_;
  WaitingBudget budget_;
  EventStreamCounters counters_;
  WordEngine engine_;
  std::vector<uint64_t> asked_;
  bool running_ = false;
  std::vector<std::string> said_;
  std::optional<KvFreshness> given_up_as_;
  int emptied_ = 0;
  std::unique_ptr<EventStream> stream_;
};

class WithReplay : public StreamScene {
 protected:
  WithReplay() { make(true); }
  // Subscribed and caught up.
  void begin() {
    stream_->on_subscribed();
    answer();
  }
};

class WithoutReplay : public StreamScene {
 protected:
  WithoutReplay() { make(false); }
};

// --- With replay ---

TEST_F(WithReplay, WhatWasPublishedBeforeIsReadFirstAndLiveBatchesWait) {
  lose("+a"), lose("+b");
  stream_->on_subscribed();
  EXPECT_EQ(asked_, std::vector<uint64_t>{0});
  live("-a +c");
  EXPECT_EQ(known().batches, 0u);
  EXPECT_EQ(freshness(), KvFreshness::kNothingYet);
  answer();
  expect_exact();
  EXPECT_EQ(known().blocks, (BlockNames{"b", "c"}));
  live("+d");
  expect_exact();
  EXPECT_EQ(counters_.replayed, 3u);
  EXPECT_EQ(counters_.gaps, 0u);
  EXPECT_EQ(budget_.bytes, 0u);
}

TEST_F(WithReplay, UntilTheReplayEndsWhatItBringsIsNotUsed) {
  lose("+a"), lose("-a");
  stream_->on_subscribed();
  answer(1, false);
  EXPECT_EQ(known().blocks, BlockNames{"a"});
  EXPECT_EQ(freshness(), KvFreshness::kNothingYet);
}

TEST_F(WithReplay, AnEngineWithoutEventsHasAnEmptyCache) {
  begin();
  EXPECT_EQ(freshness(), KvFreshness::kExact);
  EXPECT_TRUE(known().blocks.empty());
  live("+a");
  expect_exact();
}

// A subscription to some topics only: of an engine that has said nothing yet nobody can tell
// whether it will be heard.
TEST_F(WithReplay, UnderATopicFilterNothingCountsUntilABatchPassedIt) {
  stream_->expect_topic();
  begin();
  EXPECT_EQ(freshness(), KvFreshness::kNothingYet);
  live("+a");
  expect_exact();
}

TEST_F(WithReplay, UnderATopicFilterASilentEngineIsAskedAgainAndAgain) {
  stream_->expect_topic();
  begin();
  pass(seconds(1));
  ASSERT_EQ(asked_.size(), 2u);
  answer();
  pass(options_.replay_pause);
  ASSERT_EQ(asked_.size(), 3u);
  stream_->on_replay_failed("nobody is there");
  pass(options_.replay_pause);
  ASSERT_EQ(asked_.size(), 4u);
  stream_->on_replay_started();
  stream_->on_replay_refused("another topic");
  EXPECT_EQ(freshness(), KvFreshness::kNothingYet);
  EXPECT_TRUE(said_.empty()) << "known exactly, or lost: neither is true";
  pass(options_.replay_pause * 10);
  EXPECT_EQ(asked_.size(), 4u) << "it is known why nothing comes";
}

TEST_F(WithReplay, UnderATopicFilterANewProcessHasToShowItsTopic) {
  stream_->expect_topic();
  begin();
  live("+a");
  expect_exact();
  stream_->on_disconnected();
  engine_.restart();
  stream_->on_subscribed();
  pass(seconds(1));
  answer();
  pass(seconds(1));
  answer();
  EXPECT_EQ(counters_.restarts, 1u);
  EXPECT_EQ(freshness(), KvFreshness::kNothingYet);
  EXPECT_TRUE(known().blocks.empty());
}

TEST_F(WithReplay, UnderATopicFilterARepetitionShowsTheTopicToo) {
  stream_->expect_topic();
  stream_->on_subscribed();
  const auto [number, batch] = engine_.publish("+a");
  answer();
  EXPECT_EQ(freshness(), KvFreshness::kNothingYet);
  stream_->on_live(number, batch);
  expect_exact();
}

TEST_F(WithReplay, BatchesThatTheEngineNoLongerKeepsMakeItIncomplete) {
  engine_ = WordEngine(2);
  for (const char* words : {"+a", "+b", "+c", "-a"}) lose(words);
  begin();
  EXPECT_EQ(freshness(), KvFreshness::kIncomplete);
  EXPECT_EQ(known().blocks, BlockNames{"c"});
  EXPECT_EQ(counters_.holes, 0u);
  live("! +d");
  expect_exact();
}

TEST_F(WithReplay, ABatchThatComesByBothWaysCountsOnce) {
  stream_->on_subscribed();
  for (int i = 0; i < 200; ++i) live("+a" + std::to_string(i));
  const auto late = engine_.kept_from(0);
  answer();
  EXPECT_EQ(known().batches, 200u);
  // The socket still has those of them that were not read when the replay ended.
  stream_->on_disconnected();
  pass(seconds(1));
  stream_->on_subscribed();
  for (int i = 0; i < 200; ++i) lose("+b" + std::to_string(i));
  answer();
  EXPECT_EQ(known().batches, 400u);
  for (const auto& [number, batch] : engine_.kept_from(200)) stream_->on_live(number, batch);
  EXPECT_EQ(known().batches, 400u);
  EXPECT_EQ(counters_.duplicates, 200u);
  EXPECT_EQ(counters_.restarts, 0u);
  expect_exact();
}

TEST_F(WithReplay, AGapMakesItStaleUntilItIsFilled) {
  begin();
  live("+a");
  lose("-a"), lose("+b");
  live("+c");
  EXPECT_EQ(freshness(), KvFreshness::kStale);
  EXPECT_EQ(known().blocks, BlockNames{"a"}) << "live batches wait";
  live("+d");
  pass(milliseconds(100));
  EXPECT_EQ(asked_.back(), 0u) << "from the last one that was applied";
  answer();
  expect_exact();
  EXPECT_EQ(counters_.gaps, 1u);
  EXPECT_EQ(counters_.holes, 0u);
  EXPECT_EQ(said_, (std::vector<std::string>{"caught up: 0", "lost: 2 batches are missing",
                                             "caught up: 4"}));
}

// What the engine publishes after its answer, before the subscription has reached it.
TEST_F(WithReplay, ABatchBetweenTheReplayAndTheSubscriptionIsFoundWithoutAnotherBatch) {
  lose("+a");
  begin();
  lose("-a +b");
  pass(seconds(1));
  EXPECT_EQ(asked_, (std::vector<uint64_t>{0, 0}));
  EXPECT_EQ(freshness(), KvFreshness::kExact) << "what is known counts meanwhile";
  answer();
  expect_exact();
  EXPECT_EQ(known().blocks, BlockNames{"b"});
  EXPECT_EQ(said_, (std::vector<std::string>{"caught up: 1", "caught up: 1"}));
  pass(minutes(10));
  EXPECT_EQ(asked_.size(), 2u) << "once";
}

TEST_F(WithReplay, ASubscriptionThatWorksIsCheckedByItsFirstBatch) {
  begin();
  live("+a");
  pass(minutes(10));
  EXPECT_EQ(asked_.size(), 1u);
  stream_->on_disconnected();
  stream_->on_subscribed();
  answer();
  pass(seconds(1));
  EXPECT_EQ(asked_.size(), 3u) << "each subscription is";
  live("+b");
  EXPECT_FALSE(running_);
  expect_exact();
}

TEST_F(WithReplay, ACheckThatFindsNothingOrFailsChangesNothing) {
  lose("+a");
  begin();
  pass(seconds(1));
  answer();
  expect_exact();
  EXPECT_EQ(said_, std::vector<std::string>{"caught up: 1"});
  pass(milliseconds(100));
  stream_->on_disconnected();
  stream_->on_subscribed();
  answer();
  said_.clear();
  pass(seconds(1));
  stream_->on_replay_started();
  stream_->on_replay_failed("nobody answers");
  expect_exact();
  EXPECT_EQ(said_, std::vector<std::string>{});
  pass(minutes(10));
  EXPECT_EQ(asked_.size(), 4u);
}

TEST_F(WithReplay, ACheckThatShowsAnotherProcessBeginsAnew) {
  lose("+a");
  begin();
  engine_.restart();
  lose("+b");
  pass(seconds(1));
  answer();
  EXPECT_EQ(said_.back(), "restarted");
  EXPECT_EQ(freshness(), KvFreshness::kNothingYet);
  pass(seconds(1));
  answer();
  expect_exact();
}

TEST_F(WithReplay, ACheckThatShowsAHoleMakesItStaleAtOnce) {
  engine_ = WordEngine(1);
  lose("+a");
  begin();
  lose("-a"), lose("+b");
  pass(seconds(1));
  answer(1, false);
  EXPECT_EQ(freshness(), KvFreshness::kStale);
  EXPECT_EQ(counters_.lost, 1u);
}

TEST_F(WithReplay, ACheckAfterAResetDoesNotBelieveWhatWasBeforeIt) {
  lose("+a");
  begin();
  lose("+b");
  engine_.reset();
  pass(milliseconds(900));
  stream_->on_reset();
  pass(milliseconds(100));
  EXPECT_EQ(freshness(), KvFreshness::kStale);
  answer();
  EXPECT_EQ(freshness(), KvFreshness::kIncomplete);
  EXPECT_TRUE(known().blocks.empty());
}

TEST_F(WithReplay, ReplaysHaveADistance) {
  begin();
  live("+a");
  lose("+b");
  live("+c");
  EXPECT_EQ(asked_.size(), 1u);
  pass(milliseconds(99));
  EXPECT_EQ(asked_.size(), 1u);
  pass(milliseconds(1));
  EXPECT_EQ(asked_.size(), 2u);
}

TEST_F(WithReplay, AReplayWithHolesIsAskedForAgainFromTheHoleOn) {
  for (int i = 0; i < 6; ++i) lose("+" + std::to_string(i));
  stream_->on_subscribed();
  const auto kept = engine_.kept_from(0);
  stream_->on_replay_started();
  for (const size_t i : {0u, 1u, 3u}) stream_->on_replayed(kept[i].first, kept[i].second);
  EXPECT_FALSE(running_) << "the rest of it is of no use";
  pass(milliseconds(100));
  EXPECT_EQ(asked_, (std::vector<uint64_t>{0, 1}));
  answer();
  expect_exact();
}

TEST_F(WithReplay, ALostEndMarkIsNoLossWhenLiveBatchesGoOn) {
  lose("+a");
  stream_->on_subscribed();
  answer(1, false);
  live("+b");
  pass(seconds(2));
  expect_exact();
  EXPECT_EQ(counters_.replays, 1u);
}

TEST_F(WithReplay, WithoutAnEndMarkAndLiveBatchesItIsAskedForAgain) {
  lose("+a");
  stream_->on_subscribed();
  answer(1, false);
  pass(seconds(2));
  EXPECT_EQ(asked_, (std::vector<uint64_t>{0, 0}));
  EXPECT_NE(freshness(), KvFreshness::kExact);
  answer();
  expect_exact();
}

TEST_F(WithReplay, SilenceIsTriedThreeTimesAndThenTheHoleStays) {
  begin();
  live("+a");
  lose("-a");
  live("+b");
  pass(milliseconds(100));
  for (size_t attempt = 0; attempt < 3; ++attempt) {
    EXPECT_EQ(asked_.size(), attempt + 2);
    ASSERT_TRUE(running_);
    stream_->on_replay_started();
    pass(seconds(2));
    EXPECT_FALSE(running_);
    pass(seconds(1 << attempt));
  }
  pass(minutes(10));
  EXPECT_EQ(asked_.size(), 4u);
  EXPECT_EQ(freshness(), KvFreshness::kStale);
  EXPECT_EQ(counters_.holes, 1u);
  EXPECT_EQ(counters_.lost, 1u);
  EXPECT_EQ(said_.back(), "given up: 1 batches are missing, and a replay has just failed");
  live("+c");
  EXPECT_EQ(freshness(), KvFreshness::kStale);
  live("! +d");
  expect_exact();
}

TEST_F(WithReplay, AfterAFailureGapsAreNotReplayedForAWhile) {
  begin();
  live("+a");
  lose("-a");
  live("+b");
  pass(milliseconds(100));
  for (int attempt = 0; attempt < 3; ++attempt) {
    stream_->on_replay_failed("cannot connect");
    pass(seconds(4));
  }
  const size_t replays = asked_.size();
  lose("-b");
  live("+c");
  EXPECT_EQ(asked_.size(), replays);
  EXPECT_EQ(counters_.holes, 2u);
  pass(seconds(30));
  lose("+d");
  live("+e");
  EXPECT_EQ(asked_.size(), replays + 1);
}

// The engine keeps too little: what is said of the source is what it is.
TEST_F(WithReplay, OneThatStaysStaleIsNotSaidToBeCaughtUp) {
  engine_ = WordEngine(2);
  begin();
  live("+a");
  stream_->on_disconnected();
  for (const char* words : {"-a", "+b", "+c", "+d"}) lose(words);
  said_.clear();
  stream_->on_subscribed();
  pass(milliseconds(100));
  answer();
  EXPECT_EQ(freshness(), KvFreshness::kStale);
  EXPECT_EQ(said_, std::vector<std::string>{
                       "given up: the engine no longer keeps the batches that are missing"});
  EXPECT_EQ(given_up_as_, KvFreshness::kStale);
  stream_->on_disconnected();
  said_.clear();
  stream_->on_subscribed();
  pass(milliseconds(100));
  answer();
  EXPECT_EQ(said_, std::vector<std::string>{});
}

TEST_F(WithReplay, OneWhoseFirstBatchesAreNotKeptIsCaughtUpInPart) {
  engine_ = WordEngine(2);
  for (const char* words : {"+a", "+b", "+c", "+d"}) lose(words);
  stream_->on_subscribed();
  answer();
  EXPECT_EQ(freshness(), KvFreshness::kIncomplete);
  EXPECT_EQ(said_, std::vector<std::string>{"in part: 2"});
}

TEST_F(WithReplay, WhatWasForgottenAfterALossIsCaughtUpInPart) {
  options_.gap = KvGapPolicy::kForget;
  make(true);
  engine_ = WordEngine(2);
  begin();
  live("+a");
  stream_->on_disconnected();
  for (const char* words : {"-a", "+b", "+c", "+d"}) lose(words);
  stream_->on_subscribed();
  pass(milliseconds(100));
  answer();
  EXPECT_EQ(said_.back(), "in part: 2");
  EXPECT_EQ(given_up_as_, KvFreshness::kIncomplete);
}

TEST_F(WithReplay, AnInitialReplayThatFailsLeavesItIncomplete) {
  lose("+a");
  stream_->on_subscribed();
  for (int attempt = 0; attempt < 3; ++attempt) {
    live("+" + std::to_string(attempt));
    ASSERT_TRUE(running_);
    stream_->on_replay_failed("cannot connect");
    pass(seconds(4));
  }
  EXPECT_EQ(freshness(), KvFreshness::kIncomplete);
  EXPECT_EQ(known().blocks, (BlockNames{"0", "1", "2"}));
  EXPECT_EQ(counters_.holes, 0u);
  EXPECT_EQ(said_, std::vector<std::string>{"given up: cannot connect"});
  EXPECT_EQ(given_up_as_, KvFreshness::kIncomplete);
}

TEST_F(WithReplay, AnEngineThatKeepsTooFewBatchesLeavesAHole) {
  engine_ = WordEngine(2);
  begin();
  live("+a");
  for (const char* words : {"-a", "+b", "+c", "+d"}) lose(words);
  live("+e");
  pass(milliseconds(100));
  answer();
  EXPECT_EQ(freshness(), KvFreshness::kStale);
  EXPECT_EQ(counters_.lost, 3u);
  EXPECT_EQ(counters_.replays_failed, 0u) << "asking again would bring no more";
  EXPECT_EQ(known().blocks, (BlockNames{"a", "d", "e"}));
}

TEST_F(StreamScene, OrWhatWasKnownIsForgotten) {
  options_.gap = KvGapPolicy::kForget;
  make(true);
  engine_ = WordEngine(2);
  stream_->on_subscribed();
  answer();
  live("+a");
  for (const char* words : {"-a", "+b", "+c", "+d"}) lose(words);
  live("+e");
  EXPECT_EQ(freshness(), KvFreshness::kStale);
  pass(milliseconds(100));
  answer();
  EXPECT_EQ(freshness(), KvFreshness::kIncomplete);
  EXPECT_EQ(known().blocks, (BlockNames{"d", "e"}));
}

// --- Lost connections ---

TEST_F(WithReplay, ALostConnectionMakesItStaleUntilNothingIsMissing) {
  begin();
  live("+a"), live("+b");
  stream_->on_disconnected();
  EXPECT_EQ(freshness(), KvFreshness::kStale);
  EXPECT_EQ(said_.back(), "lost: the connection was lost");
  EXPECT_FALSE(running_);
  pass(milliseconds(500));
  stream_->on_subscribed();
  EXPECT_EQ(freshness(), KvFreshness::kStale);
  EXPECT_EQ(asked_.back(), 1u);
  answer();
  expect_exact();
  EXPECT_EQ(counters_.restarts, 0u);
}

TEST_F(WithReplay, WhatIsMissingAfterALostConnectionIsFilledIn) {
  begin();
  live("+a");
  stream_->on_disconnected();
  lose("-a"), lose("+b");
  pass(seconds(1));
  stream_->on_subscribed();
  live("+c");
  answer();
  expect_exact();
  EXPECT_EQ(said_.back(), "caught up: 3");
}

TEST_F(WithReplay, AConnectionLostDuringAReplayBeginsAnew) {
  lose("+a"), lose("+b");
  stream_->on_subscribed();
  answer(1, false);
  live("+c");
  stream_->on_disconnected();
  EXPECT_FALSE(running_);
  EXPECT_EQ(budget_.bytes, 0u);
  pass(minutes(1));
  EXPECT_EQ(asked_.size(), 1u);
  stream_->on_subscribed();
  answer();
  expect_exact();
}

TEST_F(WithReplay, BatchesOfTheLostConnectionStillCount) {
  begin();
  live("+a");
  stream_->on_disconnected();
  live("+b");
  EXPECT_EQ(known().blocks, (BlockNames{"a", "b"}));
  EXPECT_EQ(freshness(), KvFreshness::kStale);
  lose("-a");
  live("+c");
  EXPECT_EQ(known().blocks, (BlockNames{"a", "b"})) << "a replay will bring it";
  pass(seconds(1));
  stream_->on_subscribed();
  answer();
  expect_exact();
}

// --- Restarts ---

TEST_F(WithReplay, ANumberThatGoesBackIsARestart) {
  begin();
  live("+a"), live("+b");
  engine_.restart();
  live("+c");
  EXPECT_TRUE(known().blocks.empty());
  EXPECT_EQ(freshness(), KvFreshness::kNothingYet);
  EXPECT_EQ(said_.back(), "restarted");
  EXPECT_EQ(emptied_, 1);
  pass(milliseconds(100));
  EXPECT_EQ(asked_.back(), 0u);
  answer();
  expect_exact();
  EXPECT_EQ(known().cleared, 1u);
}

TEST_F(WithReplay, AnAnnouncedClearIsTold) {
  begin();
  live("+a"), live("-a");
  EXPECT_EQ(emptied_, 0) << "it may have been empty, but nobody says so";
  live("+a"), live("!");
  EXPECT_EQ(emptied_, 1);
  EXPECT_EQ(counters_.restarts, 0u);
  lose("! +b"), live("+c");
  pass(milliseconds(100));
  answer();
  EXPECT_EQ(emptied_, 2) << "that is so of one that is replayed, too";
  expect_exact();
}

TEST_F(WithReplay, ARestartIsFoundWhenTheFirstBatchesOfTheNewProcessWereLost) {
  begin();
  for (int i = 0; i < 10; ++i) live("+a");
  engine_.restart();
  lose("+b"), lose("+c");
  live("-b +d");
  EXPECT_EQ(counters_.restarts, 1u);
  pass(milliseconds(100));
  answer();
  expect_exact();
  EXPECT_EQ(known().blocks, (BlockNames{"c", "d"}));
}

TEST_F(WithReplay, AProcessThatDoesNotKnowOurLastBatchIsAnother) {
  begin();
  for (int i = 0; i < 10; ++i) live("+a");
  stream_->on_disconnected();
  engine_.restart();
  lose("+b");
  pass(seconds(40));
  stream_->on_subscribed();
  answer();
  EXPECT_EQ(counters_.restarts, 1u);
  pass(milliseconds(100));
  answer();
  expect_exact();
}

TEST_F(WithReplay, AProcessWithAnotherBatchUnderThatNumberIsAnother) {
  begin();
  live("+a"), live("+b");
  stream_->on_disconnected();
  engine_.restart();
  for (int i = 0; i < 10; ++i) lose("+c");
  pass(seconds(40));
  stream_->on_subscribed();
  answer();
  EXPECT_EQ(counters_.restarts, 1u);
  pass(milliseconds(100));
  answer();
  expect_exact();
}

TEST_F(WithReplay, OneThatMayBeAnotherAndKeepsNothingOfThatTimeLeavesAHole) {
  engine_ = WordEngine(2);
  begin();
  live("+a");
  stream_->on_disconnected();
  engine_.restart();
  for (int i = 0; i < 3; ++i) lose("+c");  // keeps 1 and 2; we know 0
  pass(seconds(40));
  stream_->on_subscribed();
  answer();
  EXPECT_EQ(freshness(), KvFreshness::kStale);
  EXPECT_EQ(counters_.holes, 1u);
}

TEST_F(WithReplay, ARepeatedBatchIsNoRestart) {
  begin();
  live("+a"), live("+b");
  for (const auto& [number, batch] : engine_.kept_from(0)) stream_->on_live(number, batch);
  EXPECT_EQ(counters_.duplicates, 2u);
  EXPECT_EQ(counters_.restarts, 0u);
  expect_exact();
}

TEST_F(WithReplay, ARestartDuringAReplayBeginsAnew) {
  lose("+a"), lose("+b");
  stream_->on_subscribed();
  live("+c");
  engine_.restart();
  live("+d");
  EXPECT_FALSE(running_) << "the replay of the old process";
  pass(milliseconds(100));
  answer();
  expect_exact();
  EXPECT_EQ(known().blocks, BlockNames{"d"});
}

// --- Resets by way of us ---

TEST_F(WithReplay, AResetEmptiesTheCacheAtOnce) {
  begin();
  live("+a");
  stream_->on_reset();
  EXPECT_TRUE(known().blocks.empty());
  EXPECT_EQ(freshness(), KvFreshness::kIncomplete) << "until the engine announces it";
  engine_.reset();
  live("! +b");
  expect_exact();
}

TEST_F(WithReplay, BatchesFromBeforeAResetAreNotBelieved) {
  begin();
  const auto before = engine_.publish("+a");
  stream_->on_reset();
  engine_.reset();
  stream_->on_live(before.first, before.second);
  EXPECT_TRUE(known().blocks.empty());
  live("! +b");
  expect_exact();
}

TEST_F(WithReplay, AnEngineThatAnnouncesNoResetIsBelievedAgainAfterAMoment) {
  begin();
  live("+a");
  stream_->on_reset();
  engine_.reset();
  pass(seconds(1) + milliseconds(1));
  live("+b");
  EXPECT_EQ(known().blocks, BlockNames{"b"});
  EXPECT_EQ(freshness(), KvFreshness::kIncomplete);
}

TEST_F(WithReplay, AResetDuringAReplayHoldsForWhatItBrings) {
  lose("+a");
  stream_->on_subscribed();
  stream_->on_reset();
  engine_.reset();
  answer();
  EXPECT_TRUE(known().blocks.empty());
  EXPECT_EQ(freshness(), KvFreshness::kIncomplete);
}

TEST_F(WithoutReplay, AResetEndsAHole) {
  stream_->on_subscribed();
  live("+a");
  lose("+b");
  live("+c");
  EXPECT_EQ(freshness(), KvFreshness::kStale);
  stream_->on_reset();
  EXPECT_EQ(freshness(), KvFreshness::kIncomplete);
  EXPECT_TRUE(known().blocks.empty());
}

// --- Without replay ---

TEST_F(WithoutReplay, NothingIsKnownBeforeTheFirstBatch) {
  stream_->on_subscribed();
  EXPECT_EQ(freshness(), KvFreshness::kNothingYet);
}

TEST_F(WithoutReplay, FromTheFirstBatchOnItIsExact) {
  stream_->on_subscribed();
  live("+a");
  expect_exact();
  EXPECT_TRUE(asked_.empty());
}

TEST_F(WithoutReplay, FromALaterOneOnItIsIncomplete) {
  lose("+a");
  stream_->on_subscribed();
  live("+b");
  EXPECT_EQ(freshness(), KvFreshness::kIncomplete);
  EXPECT_EQ(known().blocks, BlockNames{"b"});
  live("! +c");
  expect_exact();
}

TEST_F(WithoutReplay, AGapLeavesAHole) {
  stream_->on_subscribed();
  live("+a");
  lose("-a");
  live("+b");
  EXPECT_EQ(freshness(), KvFreshness::kStale);
  EXPECT_EQ(said_, (std::vector<std::string>{
                       "given up: 1 batches are missing, and there is no replay",
                       "lost: 1 batches are missing, and there is no replay"}));
  engine_.restart();
  live("+c");
  expect_exact();
}

TEST_F(WithoutReplay, AfterALostConnectionAHighNumberThatGoesOnShowsThatNothingIsMissing) {
  stream_->on_subscribed();
  for (int i = 0; i < 1001; ++i) live("+a");
  stream_->on_disconnected();
  stream_->on_subscribed();
  EXPECT_EQ(freshness(), KvFreshness::kStale) << "nobody can say yet";
  live("+b");
  expect_exact();
}

TEST_F(WithoutReplay, AfterALostConnectionALowNumberMayBeAnotherProcess) {
  stream_->on_subscribed();
  live("+a");
  stream_->on_disconnected();
  engine_.restart();
  lose("+b");
  stream_->on_subscribed();
  live("+c");  // number 1, as if nothing had happened
  EXPECT_EQ(freshness(), KvFreshness::kStale);
  EXPECT_EQ(counters_.holes, 1u);
}

TEST_F(WithoutReplay, ABatchThatCannotBeReadLeavesAHole) {
  stream_->on_subscribed();
  live("+a");
  live("-a ? +b");
  EXPECT_EQ(freshness(), KvFreshness::kStale);
  EXPECT_EQ(counters_.faulty, 1u);
  live("! +c");
  expect_exact();
}

// --- Hostile sources ---

TEST_F(WithReplay, AReplayThatNeverEndsIsCutOff) {
  begin();
  live("+a");
  lose("+b");
  live("+c");
  pass(milliseconds(100));
  stream_->on_replay_started();
  const auto last = engine_.kept_from(0).front();
  // The same batch again and again: no limit but the time of the whole.
  size_t rounds = 0;
  for (; running_ && rounds < 1000; ++rounds) {
    stream_->on_replayed(last.first, last.second);
    pass(seconds(1));
  }
  EXPECT_EQ(rounds, 120u);
  EXPECT_EQ(counters_.replays_failed, 1u);
}

TEST_F(StreamScene, AReplayOfTooManyBytesIsCutOff) {
  options_.replay.bytes_max = 1000;
  make(true);
  stream_->on_subscribed();
  stream_->on_replay_started();
  for (int i = 0; i < 100 && running_; ++i) {
    const auto [number, batch] = engine_.publish("+" + std::string(100, 'a'));
    stream_->on_replayed(number, batch);
  }
  EXPECT_FALSE(running_);
  EXPECT_EQ(known().batches, 9u);
}

TEST_F(StreamScene, ReplaysThatBringALittleEachAreBounded) {
  options_.replays_in_a_row = 5;
  make(true);
  stream_->on_subscribed();
  for (int i = 0; i < 20 && running_; ++i) {
    stream_->on_replay_started();
    const auto [number, batch] = engine_.publish("+a");
    if (i > 0) stream_->on_replayed(number - 1, engine_.kept_from(number - 1).front().second);
    stream_->on_replayed(number, batch);
    stream_->on_replay_failed("broken off");
    pass(milliseconds(100));
  }
  EXPECT_EQ(asked_.size(), 5u);
  EXPECT_EQ(said_, std::vector<std::string>{"given up: broken off"});
}

TEST_F(WithReplay, AReplayThatGoesBackIsCutOff) {
  begin();
  live("+a"), live("+b");
  lose("+c");
  live("+d");
  pass(milliseconds(100));
  stream_->on_replay_started();
  stream_->on_replayed(0, "other words");
  EXPECT_FALSE(running_);
  EXPECT_EQ(known().batches, 2u);
}

TEST_F(StreamScene, WhatWaitsIsBoundedAndTheRestIsReplayed) {
  options_.live_bytes_max = 1000;
  make(true);
  lose("+a");
  stream_->on_subscribed();
  size_t most = 0;
  for (int i = 0; i < 100; ++i) {
    live("+" + std::to_string(i));
    most = std::max(most, budget_.bytes);
  }
  EXPECT_LE(most, 1000u);
  EXPECT_GT(counters_.no_room, 50u);
  answer(20, false);
  pass(seconds(2));
  EXPECT_NE(freshness(), KvFreshness::kExact);
  answer();
  expect_exact();
  EXPECT_EQ(known().blocks.size(), 101u);
  EXPECT_EQ(budget_.bytes, 0u);
}

TEST_F(StreamScene, AllSourcesTogetherMayKeepSoMuch) {
  budget_.bytes_max = 500;
  make(true);
  stream_->on_subscribed();
  for (int i = 0; i < 100; ++i) live("+a");
  EXPECT_LE(budget_.bytes, 500u);
  stream_.reset();
  EXPECT_EQ(budget_.bytes, 0u);
}

TEST_F(WithReplay, NumbersOfAnySizeAreSurvived) {
  begin();
  for (const uint64_t number : {uint64_t{0}, UINT64_MAX - 1, uint64_t{1}, UINT64_MAX - 1,
                                UINT64_MAX, uint64_t{5}, uint64_t{4}, uint64_t{3}}) {
    stream_->on_live(number, "stamp +a");
    pass(milliseconds(200));
  }
  for (int i = 0; i < 20; ++i) {
    if (running_) stream_->on_replay_failed("nothing");
    pass(seconds(10));
  }
  EXPECT_NE(freshness(), KvFreshness::kExact);
}

}  // namespace
}  // namespace kvasir
