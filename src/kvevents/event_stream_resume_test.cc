// A stream that goes on where an earlier one was: a program that was started again.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/virtual_executor_fixture.h"
#include "kvevents/event_stream.h"
#include "kvevents/source_tracker_fixture.h"

namespace kvasir {
namespace {

class ResumedStream : public ::testing::Test, public EventStreamHost {
 protected:
  // Another stream for the same source; what is known of it stays.
  void start(bool replays) {
    stream_.reset();
    counters_ = std::make_unique<EventStreamCounters>();
    stream_ = std::make_unique<EventStream>(options_, replays, source_, tracker_, *this, budget_,
                                            executor_, *counters_);
  }
  void answer() {
    stream_->on_replay_started();
    for (const auto& [number, batch] : engine_.kept_from(from_)) {
      if (running_) stream_->on_replayed(number, batch);
    }
    if (running_) stream_->on_replay_ended();
  }
  // One that read all there was, and ends.
  void read_all(bool replays) {
    start(replays);
    stream_->on_subscribed();
    if (replays) answer();
  }
  void live(const std::string& words) {
    const auto [number, batch] = engine_.publish(words);
    stream_->on_live(number, batch);
  }
  WordTracker::Source known() const { return tracker_.sources().front(); }

  void start_replay(uint64_t from) override {
    from_ = from;
    running_ = true;
  }
  void stop_replay() override { running_ = false; }
  void on_lost(std::string_view) override {}
  void on_restarted() override { ++restarts_; }
  void on_emptied() override {}
  void on_caught_up(uint64_t, KvFreshness) override {}
  void on_given_up(std::string_view, KvFreshness) override {}

  EventStreamOptions options_;
  VirtualExecutor executor_;
  WordTracker tracker_;
  const KvSourceId source_ = *tracker_.add_source(EndpointId{1}, 0, "one");
  WaitingBudget budget_;
  std::unique_ptr<EventStreamCounters> counters_;
  WordEngine engine_;
  std::unique_ptr<EventStream> stream_;
  uint64_t from_ = 0;
  bool running_ = false;
  int restarts_ = 0;
};

TEST_F(ResumedStream, ReadsWhatWasPublishedSince) {
  engine_.publish("+a");
  engine_.publish("+b");
  read_all(true);
  engine_.publish("-a +c");
  start(true);
  EXPECT_EQ(known().freshness, KvFreshness::kStale);
  EXPECT_EQ(known().blocks, (BlockNames{"a", "b"}));
  stream_->on_subscribed();
  EXPECT_EQ(from_, 1u);  // the last one that was applied, which shows that it is the same process
  answer();
  EXPECT_EQ(known().freshness, KvFreshness::kExact);
  EXPECT_EQ(known().blocks, engine_.blocks());
  EXPECT_EQ(known().batches, 3u);  // none twice
  EXPECT_EQ(restarts_, 0);
}

TEST_F(ResumedStream, NothingIsKnownOfAnEngineThatRestartedMeanwhile) {
  for (const char* words : {"+a", "+b", "+c"}) engine_.publish(words);
  read_all(true);
  for (const bool as_far : {false, true}) {
    engine_.restart();
    engine_.publish("+x");
    if (as_far) engine_.publish("+y"), engine_.publish("+z");
    start(true);
    stream_->on_subscribed();
    answer();  // of numbers that it has not, or with another batch
    executor_.run_until(executor_.now() + options_.replay_spacing);
    answer();
    EXPECT_EQ(known().freshness, KvFreshness::kExact) << as_far;
    EXPECT_EQ(known().blocks, engine_.blocks()) << as_far;
  }
  EXPECT_EQ(restarts_, 2);
}

TEST_F(ResumedStream, StaysStaleWhenTheEngineKeepsTooLittle) {
  engine_ = WordEngine(1);
  engine_.publish("+a");
  read_all(true);
  engine_.publish("-a");
  engine_.publish("+b");
  start(true);
  stream_->on_subscribed();
  answer();
  EXPECT_EQ(known().freshness, KvFreshness::kStale);
  EXPECT_EQ(known().position, std::nullopt);  // another snapshot would be of no use
}

TEST_F(ResumedStream, WithoutReplayTheNextNumberDecides) {
  options_.restarted_number_max = 1;
  read_all(false);
  for (const char* words : {"+a", "+b", "+c"}) live(words);
  start(false);
  stream_->on_subscribed();
  EXPECT_EQ(known().freshness, KvFreshness::kStale);
  live("+d");
  EXPECT_EQ(known().freshness, KvFreshness::kExact);
  EXPECT_EQ(known().blocks, engine_.blocks());
  engine_.publish("-a");
  start(false);
  stream_->on_subscribed();
  live("+e");
  EXPECT_EQ(known().freshness, KvFreshness::kStale);
}

// As when another subscriber said what it knows: what was heard here begins with its last batch.
TEST_F(ResumedStream, WithoutReplayTheLastBatchItselfShowsThatNothingIsMissing) {
  read_all(false);
  for (const char* words : {"+a", "+b"}) live(words);
  start(false);
  stream_->on_subscribed();
  EXPECT_EQ(known().freshness, KvFreshness::kStale);
  const auto [number, batch] = engine_.kept_from(1).front();
  stream_->on_live(number, batch);
  EXPECT_EQ(known().freshness, KvFreshness::kExact);
  EXPECT_EQ(known().batches, 2u);  // it counts once
  live("-a");
  EXPECT_EQ(known().freshness, KvFreshness::kExact);
  EXPECT_EQ(known().blocks, engine_.blocks());
  start(false);
  stream_->on_subscribed();
  stream_->on_live(number, "of another process");
  EXPECT_EQ(restarts_, 1);
}

}  // namespace
}  // namespace kvasir
