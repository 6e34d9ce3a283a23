// Random submissions, steps and cancellations: the books balance after each, and two runs are
// alike.
#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "engine/engine_fixture.h"

namespace kvasir {
namespace {

constexpr int kOperations = 10000;

class RandomRun {
 public:
  RandomRun(uint64_t seed, const EngineOptions& options)
      : random_(seed), run_(random_profile(), options) {}

  void operate() {
    switch (random_.below(4)) {
      case 0:
        return submit();
      case 1:
        return random_.below(3) == 0 ? cancel() : submit();
      default:
        return step();
    }
  }

  // Finishes what is left and checks that nothing is lost.
  void drain() {
    if (run_.engine.step_running()) step();
    run_.run();
    for (const auto& [id, expected] : expected_) {
      EXPECT_EQ(run_.answer(SequenceId{id}).size(), expected) << "sequence " << id;
    }
  }

  const EngineRun& run() const { return run_; }

 private:
  EngineProfile random_profile() {
    EngineProfile profile = small_profile();
    profile.kv_tokens = 480 + random_.below(400);
    profile.max_model_len = 480;
    profile.block_size = random_.below(2) ? 16 : 5;
    profile.max_num_batched_tokens = static_cast<uint32_t>(3 + random_.below(200));
    profile.max_num_seqs = static_cast<uint32_t>(2 + random_.below(8));
    return profile;
  }

  void submit() {
    if (run_.engine.stats().num_requests_waiting > 20) return;
    std::vector<TokenId> prompt =
        prompt_of(1 + random_.below(300), static_cast<TokenId>(random_.below(3)));
    SequenceRequest request =
        request_of(std::move(prompt), static_cast<uint32_t>(1 + random_.below(150)));
    request.cache_salt = random_.below(2);
    request.priority = static_cast<int>(random_.below(3));
    request.answer_seed = random_.below(5);
    const uint32_t max_tokens = request.max_tokens;
    expected_[static_cast<uint64_t>(run_.submit(std::move(request)))] = max_tokens;
  }

  void cancel() {
    if (expected_.empty()) return;
    auto chosen = expected_.begin();
    std::advance(chosen, static_cast<ptrdiff_t>(random_.below(expected_.size())));
    const SequenceId id{chosen->first};
    if (run_.answer(id).size() == chosen->second) return;
    run_.engine.cancel(id);
    expected_[chosen->first] = run_.answer(id).size();
  }

  // Half a step, so that the other operations also fall into running steps.
  void step() {
    if (!run_.engine.step_running()) {
      const auto duration = run_.engine.start_step(run_.now);
      if (duration) run_.now += *duration;
      return;
    }
    for (const TokenEvent& event : run_.engine.finish_step(run_.now)) run_.events.push_back(event);
  }

  Random random_;
  EngineRun run_;
  std::map<uint64_t, size_t> expected_;  // tokens that each sequence makes
};

class EngineRandom : public testing::TestWithParam<EngineOptions> {};

TEST_P(EngineRandom, KeepsItsBooksBalanced) {
  uint64_t preemptions = 0, hits = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    RandomRun random(seed, GetParam());
    for (int i = 0; i < kOperations / 10; ++i) {
      random.operate();
      ASSERT_TRUE(random.run().engine.consistent()) << "seed " << seed << ", operation " << i;
    }
    random.drain();
    preemptions += random.run().engine.stats().num_preemptions;
    hits += random.run().engine.stats().prefix_cache_hits;
  }
  EXPECT_GT(preemptions, 0u);
  EXPECT_EQ(hits > 0, GetParam().prefix_caching);
}

TEST_P(EngineRandom, TwoRunsAreAlikeEventByEvent) {
  RandomRun first(7, GetParam()), second(7, GetParam());
  for (int i = 0; i < kOperations; ++i) {
    first.operate();
    second.operate();
  }
  const auto& left = first.run().events;
  const auto& right = second.run().events;
  ASSERT_EQ(left.size(), right.size());
  ASSERT_GT(left.size(), 1000u);
  for (size_t i = 0; i < left.size(); ++i) {
    ASSERT_EQ(left[i].sequence, right[i].sequence);
    ASSERT_EQ(left[i].token, right[i].token);
    ASSERT_EQ(left[i].position, right[i].position);
    ASSERT_EQ(left[i].finished, right[i].finished);
    ASSERT_EQ(left[i].cached_tokens, right[i].cached_tokens);
    ASSERT_EQ(left[i].times.scheduled, right[i].times.scheduled);
    ASSERT_EQ(left[i].times.first_token, right[i].times.first_token);
  }
}

INSTANTIATE_TEST_SUITE_P(Options, EngineRandom,
                         testing::Values(EngineOptions{WaitingOrder::kFcfs, true},
                                         EngineOptions{WaitingOrder::kFcfs, false},
                                         EngineOptions{WaitingOrder::kPriority, true}));

}  // namespace
}  // namespace kvasir
