// The prefix cache and preemption, seen through the engine.
#include <gtest/gtest.h>

#include "engine/engine_fixture.h"

namespace kvasir {
namespace {

// Cached tokens of a prompt that is submitted now and runs alone.
uint32_t cached(EngineRun& run, std::vector<TokenId> prompt, uint64_t salt = 0) {
  SequenceRequest request = request_of(std::move(prompt), 1);
  request.cache_salt = salt;
  const SequenceId id = run.submit(std::move(request));
  run.run();
  return run.first(id).cached_tokens;
}

TEST(PrefixCache, ARepeatedPromptHitsAllItsFullBlocksButComputesTheLastToken) {
  const struct {
    size_t prompt;
    uint32_t cached;
  } cases[] = {{15, 0}, {16, 0}, {17, 16}, {32, 16}, {33, 32}, {200, 192}, {208, 192}};
  for (const auto& test : cases) {
    EngineRun run;
    EXPECT_EQ(cached(run, prompt_of(test.prompt)), 0u);
    EXPECT_EQ(cached(run, prompt_of(test.prompt)), test.cached) << test.prompt;
    EXPECT_EQ(run.engine.last_step_tokens(), test.prompt - test.cached);
    EXPECT_EQ(run.engine.stats().prefix_cache_queries, 2 * test.prompt);
    EXPECT_EQ(run.engine.stats().prefix_cache_hits, test.cached);
    EXPECT_EQ(run.engine.stats().prompt_tokens, 2 * test.prompt);
  }
}

TEST(PrefixCache, PromptsShareTheirCommonPrefix) {
  EngineRun run;
  cached(run, prompt_of(200));
  std::vector<TokenId> other = prompt_of(200);
  other[100] = 9999;
  EXPECT_EQ(cached(run, other), 96u);
  EXPECT_EQ(cached(run, prompt_of(60)), 48u);
  EXPECT_EQ(cached(run, prompt_of(200, 1)), 0u);
}

TEST(PrefixCache, SaltsAreSeparate) {
  EngineRun run;
  EXPECT_EQ(cached(run, prompt_of(100), 1), 0u);
  EXPECT_EQ(cached(run, prompt_of(100), 2), 0u);
  EXPECT_EQ(cached(run, prompt_of(100), 1), 96u);
  EXPECT_EQ(cached(run, prompt_of(100), 0), 0u);
}

TEST(PrefixCache, BlocksAreSharedWhileTheirFirstOwnerRuns) {
  EngineRun run;
  run.submit(prompt_of(320), 50);
  run.step();
  const SequenceId second = run.submit(prompt_of(320), 50);
  run.step();  // computes the last 64 tokens of the first, and the second's
  EXPECT_DOUBLE_EQ(run.engine.stats().kv_cache_usage, 21.0 / 64);
  run.run();
  EXPECT_EQ(run.first(second).cached_tokens, 304u);
}

TEST(PrefixCache, SequencesAdmittedInTheSameStepShareBlocks) {
  EngineRun run;
  run.submit(prompt_of(100), 1);
  const SequenceId second = run.submit(prompt_of(100), 1);
  run.run();
  EXPECT_EQ(run.first(second).cached_tokens, 96u);
  EXPECT_EQ(run.steps, 1);
}

TEST(PrefixCache, APromptThatContinuesAnAnswerHitsTheAnswer) {
  EngineRun run;
  const SequenceId first = run.submit(prompt_of(40), 60);
  run.run();
  std::vector<TokenId> next = prompt_of(40);
  const std::vector<TokenId> answer = run.answer(first);
  next.insert(next.end(), answer.begin(), answer.end());
  next.insert(next.end(), 30, 7);
  // 99 tokens were computed: the answer's last one never was.
  EXPECT_EQ(cached(run, next), 96u);
}

TEST(PrefixCache, CanBeSwitchedOff) {
  EngineRun run(small_profile(), {WaitingOrder::kFcfs, false});
  cached(run, prompt_of(100));
  EXPECT_EQ(cached(run, prompt_of(100)), 0u);
  EXPECT_EQ(run.engine.stats().prefix_cache_queries, 0u);
}

TEST(PrefixCache, TailsAreEvictedBeforePrefixesAndOldBeforeNew) {
  EngineRun run;
  cached(run, prompt_of(512));         // 32 blocks
  cached(run, prompt_of(512, 10000));  // 32 more: the cache is full
  cached(run, prompt_of(80, 20000));   // takes the last 5 blocks of the first
  // Each look takes one block more: the one for the token behind the hit, freed longest ago.
  EXPECT_EQ(cached(run, prompt_of(512 - 80, 0)), 512u - 96);
  EXPECT_EQ(cached(run, prompt_of(512, 10000)), 512u - 16);
}

TEST(PrefixCache, AHitMakesBlocksYoung) {
  EngineRun run;
  cached(run, prompt_of(512));
  cached(run, prompt_of(512, 10000));
  cached(run, prompt_of(512));
  cached(run, prompt_of(400, 20000));
  EXPECT_EQ(cached(run, prompt_of(512)), 496u);
}

TEST(PrefixCache, IsResetOnlyWhenNoBlockIsInUse) {
  EngineRun run;
  cached(run, prompt_of(100));
  run.submit(prompt_of(50, 1000), 5);
  run.step();
  EXPECT_FALSE(run.engine.reset_prefix_cache());
  EXPECT_EQ(cached(run, prompt_of(100)), 96u);
  EXPECT_TRUE(run.engine.reset_prefix_cache());
  EXPECT_EQ(cached(run, prompt_of(100)), 0u);
}

// Three sequences that together outgrow the cache.
std::vector<SequenceId> submit_too_much(EngineRun& run, const std::vector<int>& priorities) {
  std::vector<SequenceId> ids;
  for (const int priority : priorities) {
    SequenceRequest request = request_of(prompt_of(200, ids.size() * 1000), 250);
    request.priority = priority;
    request.answer_seed = ids.size();
    ids.push_back(run.submit(std::move(request)));
  }
  return ids;
}

TEST(Preemption, TheLastAdmittedGivesWayAndGoesOnWhereItStopped) {
  EngineRun run;
  const auto ids = submit_too_much(run, {0, 0, 0});
  const SequenceId waiting = run.submit(prompt_of(900, 5000), 1);
  run.run();
  EXPECT_GE(run.engine.stats().num_preemptions, 1u);
  for (size_t i = 0; i < ids.size(); ++i) {
    const std::vector<TokenId> answer = run.answer(ids[i]);
    ASSERT_EQ(answer.size(), 250u);
    for (uint32_t position = 0; position < 250; ++position) {
      ASSERT_EQ(answer[position], answer_token(i, position));
    }
  }
  // It waited at the front; and only first admissions count.
  EXPECT_GT(run.first(waiting).times.scheduled, run.first(ids[2]).times.scheduled);
  EXPECT_EQ(run.engine.stats().prefix_cache_queries, 3u * 200 + 900);
  EXPECT_EQ(run.engine.stats().prefix_cache_hits, 0u);
  EXPECT_EQ(run.engine.stats().prompt_tokens, 3u * 200 + 900);
  EXPECT_EQ(run.first(ids[2]).cached_tokens, 0u);
  EXPECT_EQ(run.events.back().sequence, waiting);
}

std::vector<TokenEvent> step_until_preemption(EngineRun& run) {
  std::vector<TokenEvent> made;
  while (run.engine.stats().num_preemptions == 0) made = run.step();
  return made;
}

// Without the prefix cache the first chunk of what was preempted would fit at once.
TEST(Preemption, NobodyIsAdmittedInTheSameStep) {
  EngineRun run(small_profile(), {WaitingOrder::kFcfs, false});
  submit_too_much(run, {0, 0, 0});
  EXPECT_EQ(step_until_preemption(run).size(), 2u);
  EXPECT_EQ(run.engine.stats().num_requests_waiting, 1u);
  run.step();
  EXPECT_EQ(run.engine.stats().num_requests_waiting, 0u);
}

TEST(Preemption, TheOthersStayInTheStep) {
  EngineRun run(small_profile(), {WaitingOrder::kPriority, true});
  const auto ids = submit_too_much(run, {1, 0, 0});
  const auto events = step_until_preemption(run);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].sequence, ids[1]);
  EXPECT_EQ(events[1].sequence, ids[2]);
}

TEST(Preemption, GivesBackItsShareOfTheBudget) {
  EngineProfile profile = small_profile();
  profile.max_num_batched_tokens = 40;
  EngineRun run(profile, {WaitingOrder::kPriority, true});
  SequenceRequest unimportant = request_of(prompt_of(320), 100);
  unimportant.priority = 1;
  run.submit(std::move(unimportant));
  run.step();
  run.submit(prompt_of(320, 1000), 100);
  run.submit(prompt_of(600, 2000), 100);
  step_until_preemption(run);
  EXPECT_EQ(run.engine.last_step_tokens(), 40u);
}

TEST(Preemption, TakesTheLeastImportantSequence) {
  EngineRun run(small_profile(), {WaitingOrder::kPriority, true});
  const auto ids = submit_too_much(run, {1, 0, 0});
  run.run();
  ASSERT_GE(run.engine.stats().num_preemptions, 1u);
  EXPECT_EQ(run.events.back().sequence, ids[0]);
  for (const SequenceId id : ids) EXPECT_EQ(run.answer(id).size(), 250u);
}

TEST(Preemption, APreemptedSequenceCanBeCancelled) {
  EngineRun run;
  const auto ids = submit_too_much(run, {0, 0, 0});
  step_until_preemption(run);
  EXPECT_EQ(run.engine.stats().num_requests_waiting, 1u);
  run.engine.cancel(ids[2]);
  EXPECT_EQ(run.engine.stats().num_requests_waiting, 0u);
  EXPECT_TRUE(run.engine.consistent());
  run.run();
  EXPECT_LT(run.answer(ids[2]).size(), 250u);
}

}  // namespace
}  // namespace kvasir
