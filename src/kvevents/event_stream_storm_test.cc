// Engines that lose batches, connections and themselves at random: whatever is lost, what a stream
// calls exact is exactly what the engine had after the batch that was applied last, and what it
// calls incomplete is a part of that.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "base/random.h"
#include "base/virtual_executor_fixture.h"
#include "kvevents/event_stream.h"
#include "kvevents/source_tracker_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;

constexpr uint64_t kRestartedNumberMax = 5;

struct StormShape {
  uint64_t seed = 0;
  bool replays = true;
  bool announces = true;  // resets
  KvGapPolicy gap = KvGapPolicy::kStale;
  size_t kept_max = 20;
};

class Storm final : public EventStreamHost {
 public:
  explicit Storm(const StormShape& shape)
      : shape_(shape),
        random_(shape.seed),
        source_(tracker_.add_source(EndpointId{1}, 0, "one").value()),
        engine_(shape.kept_max) {
    EventStreamOptions options;
    options.gap = shape.gap;
    options.live_bytes_max = 1500;
    options.restarted_number_max = kRestartedNumberMax;
    options.replay_pause = std::chrono::seconds(1);
    stream_ = std::make_unique<EventStream>(options, shape.replays, source_, tracker_, *this,
                                            budget_, executor_, counters_);
  }

  void start_replay(uint64_t from) override { asked_ = from; }
  void stop_replay() override { asked_.reset(); }
  void on_lost(std::string_view) override {}
  void on_restarted() override {}
  void on_emptied() override {}
  void on_caught_up(uint64_t, KvFreshness) override {}
  void on_given_up(std::string_view, KvFreshness) override {}

  void run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
      step();
      check();
    }
  }
  // From now on nothing is lost, and the engine announces a clear.
  void calm_down() {
    connect();
    settle();
    publish("+w", true);
    settle();
    publish("! +x", true);
    publish("+y", true);
    EXPECT_EQ(known().freshness, KvFreshness::kExact);
    EXPECT_EQ(known().blocks, engine_.blocks());
    EXPECT_EQ(budget_.bytes, 0u);
  }
  const EventStreamCounters& counters() const { return counters_; }
  uint64_t usable_steps() const { return usable_; }

 private:
  bool happens(int percent) { return random_.below(100) < static_cast<uint64_t>(percent); }
  void settle() {
    for (int i = 0; i < 100; ++i) {
      if (asked_) answer(0);
      pass(milliseconds(500));
      check();
    }
  }
  void pass(Duration time) { executor_.run_until(executor_.now() + time); }
  WordTracker::Source known() const { return tracker_.sources().front(); }

  void step() {
    if (happens(2)) return disconnect(false);
    if (happens(1)) return disconnect(true);
    if (happens(20)) connect();
    if (happens(1)) return reset();
    if (happens(30) && asked_) return answer(happens(50) ? 0 : 15);
    if (happens(5)) pass(milliseconds(random_.below(4000)));
    std::string words = happens(1) ? "! " : "";
    for (uint64_t i = 0; i <= random_.below(3); ++i) {
      words += (happens(60) ? "+" : "-") + std::to_string(random_.below(12)) + " ";
    }
    publish(words, !happens(3));
  }

  void disconnect(bool restart) {
    stream_->on_disconnected();
    connected_ = heard_ = false;
    if (!restart) return;
    engine_.restart();
    ++process_;
    unannounced_ = false;
    for (uint64_t i = random_.below(5); i > 0; --i) publish("+r", false);
  }
  void connect() {
    if (!connected_) stream_->on_subscribed();
    connected_ = true;
  }
  void reset() {
    engine_.reset();
    stream_->on_reset();
    unannounced_ = shape_.announces;
    if (!shape_.announces) pass(milliseconds(1500));
  }

  void publish(std::string words, bool arrives) {
    // Nobody could tell this process from the one before it: it must not come so far unheard.
    if (!shape_.replays && !heard_ && engine_.next() >= kRestartedNumberMax) {
      if (!connected_) return;
      arrives = true;
    }
    if (unannounced_) words = "! " + words;
    unannounced_ = false;
    const auto [number, batch] = engine_.publish(words);
    truth_[batch] = {engine_.blocks(), process_};
    if (!arrives || !connected_) return;
    heard_ = true;
    stream_->on_live(number, batch);
  }
  // The engine's answer, of which each batch and the end mark are lost with so many percent.
  void answer(int lost_percent) {
    const uint64_t from = *asked_;
    stream_->on_replay_started();
    for (const auto& [number, batch] : engine_.kept_from(from)) {
      if (!asked_) return;
      if (!happens(lost_percent)) stream_->on_replayed(number, batch);
    }
    if (asked_ && !happens(lost_percent)) stream_->on_replay_ended();
    if (asked_) pass(std::chrono::seconds(3));
  }

  void check() {
    const WordTracker::Source source = known();
    ASSERT_EQ(source.freshness, counters_.freshness);
    if (source.freshness != KvFreshness::kExact && source.freshness != KvFreshness::kIncomplete) {
      return;
    }
    ++usable_;
    if (source.last.empty()) {
      ASSERT_TRUE(source.blocks.empty());
      return;
    }
    const auto& [blocks, process] = truth_.at(source.last);
    ASSERT_EQ(process, process_) << "a restart was not noticed";
    if (source.freshness == KvFreshness::kExact) {
      ASSERT_EQ(source.blocks, blocks);
    }
    ASSERT_TRUE(std::includes(blocks.begin(), blocks.end(), source.blocks.begin(),
                              source.blocks.end()));
  }

  const StormShape shape_;
  Random random_;
  VirtualExecutor executor_;
  WordTracker tracker_;
  const KvSourceId source_;
  WaitingBudget budget_;
  EventStreamCounters counters_;
  WordEngine engine_;
  std::map<std::string, std::pair<BlockNames, int>> truth_;  // after each batch
  int process_ = 0;
  bool connected_ = false;
  bool heard_ = false;  // something, since then
  bool unannounced_ = false;  // a reset
  std::optional<uint64_t> asked_;
  uint64_t usable_ = 0;
  std::unique_ptr<EventStream> stream_;
};

void rage(StormShape shape) {
  constexpr int kSteps = 4000;
  uint64_t usable = 0;
  uint64_t restarts = 0;
  for (shape.seed = 1; shape.seed <= 25 && !::testing::Test::HasFailure(); ++shape.seed) {
    SCOPED_TRACE(shape.seed);
    Storm storm(shape);
    storm.run(kSteps);
    storm.calm_down();
    usable += storm.usable_steps();
    restarts += storm.counters().restarts;
  }
  EXPECT_GT(restarts, 25u);
  EXPECT_GT(usable, 25u * kSteps / 20) << "and it is of use, too";
}

TEST(EventStreamStorm, WithReplay) {
  rage({});
}

TEST(EventStreamStorm, WithReplayOfAllThatWasPublished) {
  StormShape shape;
  shape.kept_max = 10'000;
  rage(shape);
}

TEST(EventStreamStorm, WithReplayForgettingWhatCannotBeFilled) {
  StormShape shape;
  shape.gap = KvGapPolicy::kForget;
  shape.kept_max = 5;
  rage(shape);
}

TEST(EventStreamStorm, WithoutReplayForgetting) {
  StormShape shape;
  shape.replays = false;
  shape.gap = KvGapPolicy::kForget;
  rage(shape);
}

TEST(EventStreamStorm, WithoutReplay) {
  StormShape shape;
  shape.replays = false;
  rage(shape);
}

TEST(EventStreamStorm, OfEnginesThatDoNotAnnounceResets) {
  StormShape shape;
  shape.announces = false;
  rage(shape);
}

}  // namespace
}  // namespace kvasir
