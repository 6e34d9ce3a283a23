#include "worker/engine_loop.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <numeric>
#include <vector>

#include "engine/kv_memory.h"

namespace kvasir {
namespace {

using std::chrono::seconds;

constexpr double kTimeScale = 1000;

class EngineLoopTest : public testing::Test, private EngineLoop::Observer {
 protected:
  static EngineProfile profile() {
    EngineProfile profile;
    profile.max_model_len = 1024;
    profile.kv_tokens = 1024;
    profile.max_num_seqs = 4;
    profile.max_num_batched_tokens = 1024;
    profile.step.overhead_ms = 1;
    profile.step.dense_ms_by_tokens = {{0, 0}, {1000, 1}};
    return profile;
  }
  static EngineOptions options() {
    EngineOptions options;
    options.memory =
        std::make_shared<KvMemory>(KvMemory::create(64, KvLayout::of(profile())).value());
    return options;
  }

  static SequenceRequest request(size_t tokens, TokenId first, uint32_t max_tokens) {
    SequenceRequest request;
    request.prompt.resize(tokens);
    std::iota(request.prompt.begin(), request.prompt.end(), first);
    request.max_tokens = max_tokens;
    return request;
  }

  // Runs the loop until `is` or for 20 s.
  template <class Is>
  void run_until(Is&& is) {
    const TimerId limit = loop_.after(seconds(20), [this] { loop_.stop(); });
    is_ = std::forward<Is>(is);
    if (!is_()) loop_.run();
    loop_.cancel(limit);
    EXPECT_TRUE(is_());
  }

  void on_step(const std::vector<TokenEvent>& events, TimePoint) override {
    tokens_ += events.size();
    if (is_()) loop_.stop();
  }
  void on_wanted(std::vector<WantedBlocks> wanted) override {
    for (WantedBlocks& one : wanted) wanted_.push_back(std::move(one));
    if (at_once_) engine_loop_.arrived(wanted_.back().sequence, 0);
    if (is_()) loop_.stop();
  }

  std::unique_ptr<EventLoop> owned_loop_ = EventLoop::create().value();
  EventLoop& loop_ = *owned_loop_;
  Engine engine_{profile(), options()};
  EngineLoop engine_loop_{loop_, engine_, kTimeScale, *this};
  std::function<bool()> is_ = [] { return false; };
  std::vector<WantedBlocks> wanted_;
  size_t tokens_ = 0;
  bool at_once_ = false;
};

TEST_F(EngineLoopTest, ASequenceGoesOnWhenItsBlocksHaveArrived) {
  SequenceRequest remote = request(100, 0, 3);
  remote.remote_blocks = 6;
  const SequenceId sequence = engine_loop_.submit(std::move(remote));
  run_until([&] { return wanted_.size() == 1; });
  EXPECT_FALSE(engine_.step_running());
  EXPECT_EQ(wanted_[0].blocks.size(), 6u);
  engine_loop_.arrived(sequence, 6);
  run_until([&] { return tokens_ == 3; });
}

TEST_F(EngineLoopTest, BlocksMayArriveFromInsideOfTheNewsThatTheyAreWanted) {
  at_once_ = true;
  SequenceRequest remote = request(100, 0, 3);
  remote.remote_blocks = 6;
  engine_loop_.submit(std::move(remote));
  run_until([&] { return tokens_ == 3; });
}

TEST_F(EngineLoopTest, AStepOnArrivingBlocksEndsWhenTheyAreThere) {
  SequenceRequest remote = request(100, 0, 3);
  remote.remote_blocks = 6;
  const SequenceId sequence = engine_loop_.submit(std::move(remote));
  run_until([&] { return wanted_.size() == 1; });
  engine_loop_.arriving(sequence);
  // Long after the step could have ended.
  bool waited = false;
  loop_.after(std::chrono::milliseconds(5), [&] {
    waited = engine_.step_waits();
    engine_loop_.submit(request(10, 5000, 1));
    engine_loop_.arrived(sequence, 6);
  });
  run_until([&] { return tokens_ == 4; });
  EXPECT_TRUE(waited);
  EXPECT_EQ(engine_loop_.lost_time(), Duration::zero());
}

TEST_F(EngineLoopTest, ReleasedBlocksWakeWhoWaitsForRoom) {
  SequenceRequest keeps = request(500, 0, 1);
  keeps.keep_blocks = true;
  const SequenceId kept = engine_loop_.submit(std::move(keeps));
  run_until([&] { return tokens_ == 1; });
  engine_loop_.submit(request(1000, 5000, 1));
  loop_.after(std::chrono::milliseconds(5), [&] { engine_loop_.release_kept(kept); });
  run_until([&] { return tokens_ == 2; });
}

TEST_F(EngineLoopTest, ACancelledSequenceWakesWhoIsBehindIt) {
  SequenceRequest keeps = request(500, 0, 1);
  keeps.keep_blocks = true;
  engine_loop_.submit(std::move(keeps));
  run_until([&] { return tokens_ == 1; });
  const SequenceId large = engine_loop_.submit(request(1000, 5000, 1));
  engine_loop_.submit(request(100, 8000, 1));
  loop_.after(std::chrono::milliseconds(5), [&] { engine_loop_.cancel(large); });
  run_until([&] { return tokens_ == 2; });
}

}  // namespace
}  // namespace kvasir
