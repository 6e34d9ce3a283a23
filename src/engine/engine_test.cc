// Batches, budget, seats, order, cancellation and the times of steps.
#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine_fixture.h"
#include "timing/step_model.h"

namespace kvasir {
namespace {

using testing::HasSubstr;

TEST(Engine, AnIdleEngineStartsNoStep) {
  EngineRun run;
  EXPECT_FALSE(run.engine.start_step(run.now));
  EXPECT_FALSE(run.engine.step_running());
  EXPECT_EQ(run.engine.stats().steps, 0u);
}

TEST(Engine, OneSequenceRunsFromPromptToLastToken) {
  EngineRun run;
  run.now += std::chrono::seconds(5);
  const TimePoint submitted = run.now;
  const SequenceId id = run.submit(prompt_of(100), 3);
  const auto duration = run.engine.start_step(run.now);
  EXPECT_EQ(duration, std::chrono::microseconds(1100));
  EXPECT_TRUE(run.engine.step_running());
  EXPECT_FALSE(run.engine.start_step(run.now));
  EXPECT_EQ(run.engine.last_step_tokens(), 100u);
  run.now += *duration;

  const auto events = run.engine.finish_step(run.now);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].sequence, id);
  EXPECT_EQ(events[0].token, answer_token(0, 0));
  EXPECT_EQ(events[0].position, 0u);
  EXPECT_FALSE(events[0].finished);
  EXPECT_EQ(events[0].times.submitted, submitted);
  EXPECT_EQ(events[0].times.scheduled, submitted);
  EXPECT_EQ(events[0].times.first_token, run.now);

  EXPECT_FALSE(run.step()[0].finished);
  const auto last = run.step();
  EXPECT_TRUE(last[0].finished);
  EXPECT_EQ(last[0].times.first_token, submitted + *duration);
  EXPECT_FALSE(run.engine.start_step(run.now));
  EXPECT_TRUE(run.engine.consistent());

  const EngineStats stats = run.engine.stats();
  EXPECT_EQ(stats.steps, 3u);
  EXPECT_EQ(stats.prompt_tokens, 100u);
  EXPECT_EQ(stats.generation_tokens, 3u);
  EXPECT_EQ(stats.prefix_cache_queries, 100u);
  EXPECT_EQ(stats.prefix_cache_hits, 0u);
  EXPECT_EQ(stats.kv_cache_usage, 0);
}

TEST(Engine, GaugesShowWhatRunsAndWaits) {
  EngineRun run;
  for (TokenId i = 0; i < 6; ++i) run.submit(prompt_of(32, 100 * i), 2);
  EXPECT_EQ(run.engine.stats().num_requests_waiting, 6u);
  run.step();
  EXPECT_EQ(run.engine.stats().num_requests_running, 4u);
  EXPECT_EQ(run.engine.stats().num_requests_waiting, 2u);
  EXPECT_DOUBLE_EQ(run.engine.stats().kv_cache_usage, 8.0 / 64);
}

TEST(Engine, ChecksRequests) {
  const EngineRun run;
  const struct {
    uint64_t prompt;
    uint32_t answer;
    std::string error;
  } cases[] = {{1, 1, ""},
               {1023, 1, ""},
               {0, 1, "prompt is empty"},
               {1, 0, "at least one token"},
               {1024, 1, "1024 tokens of the model's context"},
               {1, 1024, "1024 tokens of the model's context"},
               {UINT64_MAX, UINT32_MAX, "the model's context"}};
  for (const auto& test : cases) {
    const auto checked = run.engine.check(test.prompt, test.answer);
    EXPECT_EQ(checked.ok(), test.error.empty()) << test.prompt;
    if (checked.ok()) continue;
    EXPECT_THAT(checked.error().message, HasSubstr(test.error));
  }
}

TEST(Engine, ARequestNeedsNoMoreBlocksThanThereAre) {
  EngineProfile profile = small_profile();
  profile.kv_tokens = 160;
  EngineRun run(profile);
  EXPECT_TRUE(run.engine.check(160, 1).ok());
  EXPECT_TRUE(run.engine.check(100, 61).ok());
  EXPECT_THAT(run.engine.check(100, 62).error().message, HasSubstr("160 tokens of the KV cache"));
  run.submit(prompt_of(160), 1);
  run.submit(prompt_of(100, 500), 61);
  run.run();
  EXPECT_EQ(run.engine.stats().num_preemptions, 0u);
}

TEST(EngineDeathTest, RefusesMisuse) {
  EngineRun run;
  EXPECT_DEATH(run.submit({}, 1), "only what can run");
  EXPECT_DEATH(run.engine.finish_step(run.now), "a step is running");
}

TEST(Engine, LongPromptsAreComputedInChunksOfTheBudget) {
  const EngineProfile profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
  EngineRun run(profile);
  const SequenceId id = run.submit(prompt_of(20000), 2);
  const StepModel model(profile.step);
  const struct { uint64_t chunk, prefix; } chunks[] = {{8192, 0}, {8192, 8192}, {3616, 16384}};
  for (const auto& chunk : chunks) {
    StepWork work;
    work.add_prefill(chunk.chunk, chunk.prefix);
    const TimePoint start = run.now;
    const auto events = run.step();
    EXPECT_EQ(run.now - start, from_seconds(model.step_seconds(work)));
    EXPECT_EQ(events.size(), chunk.prefix == 16384 ? 1u : 0u);
  }
  EXPECT_NEAR(to_seconds(run.first(id).times.first_token - TimePoint{}),
              model.prefill_seconds(20000, 0, profile.max_num_batched_tokens), 1e-6);

  StepWork decode;
  decode.add_decode(20001);
  EXPECT_EQ(run.engine.start_step(run.now), from_seconds(model.step_seconds(decode)));
}

TEST(Engine, DecodingRowsComeBeforePrefillAndShareTheBudget) {
  EngineRun run;
  run.submit(prompt_of(10), 50);
  run.submit(prompt_of(10, 100), 50);
  run.step();
  const SequenceId late = run.submit(prompt_of(300, 200), 1);
  EXPECT_EQ(run.step().size(), 2u);
  EXPECT_EQ(run.engine.last_step_tokens(), 256u);  // 2 rows and 254 of the prompt
  const auto events = run.step();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[2].sequence, late);
  EXPECT_EQ(run.engine.last_step_tokens(), 48u);
}

TEST(Engine, WhatTheFirstPromptLeavesOfTheBudgetGoesToTheNext) {
  EngineRun run;
  run.submit(prompt_of(200), 1);
  run.submit(prompt_of(100, 300), 1);
  EXPECT_EQ(run.step().size(), 1u);
  EXPECT_EQ(run.engine.last_step_tokens(), 256u);
  EXPECT_EQ(run.step().size(), 1u);
  EXPECT_EQ(run.engine.last_step_tokens(), 44u);
}

TEST(Engine, RowsBeyondTheBudgetWaitForTheNextStep) {
  EngineProfile profile = small_profile();
  profile.max_num_batched_tokens = 2;
  EngineRun run(profile);
  for (TokenId i = 0; i < 4; ++i) run.submit(prompt_of(1, i), 8);
  run.run();
  EXPECT_EQ(run.events.size(), 32u);
  EXPECT_EQ(run.steps, 16);
}

TEST(Engine, SequencesAreServedInOrderOfArrival) {
  EngineRun run;
  std::vector<SequenceId> ids;
  for (TokenId i = 0; i < 20; ++i) ids.push_back(run.submit(prompt_of(60, 100 * i), 5 + i % 3));
  run.run();
  for (size_t i = 1; i < ids.size(); ++i) {
    EXPECT_LE(run.first(ids[i - 1]).times.scheduled, run.first(ids[i]).times.scheduled);
  }
}

TEST(Engine, AShortPromptDoesNotOvertakeAHeadThatWaitsForBlocks) {
  EngineProfile profile = small_profile();
  profile.max_num_batched_tokens = 1024;
  EngineRun run(profile);
  run.submit(prompt_of(600), 8);
  run.step();
  const SequenceId large = run.submit(prompt_of(500, 2000), 1);
  const SequenceId small = run.submit(prompt_of(8, 3000), 1);
  run.step();
  EXPECT_EQ(run.engine.stats().num_requests_waiting, 2u);
  run.run();
  EXPECT_LE(run.first(large).times.scheduled, run.first(small).times.scheduled);
}

TEST(Engine, LowerPriorityValuesAreAdmittedFirst) {
  EngineRun run(small_profile(), {WaitingOrder::kPriority, true});
  std::vector<SequenceId> ids;
  for (const int priority : {3, 1, 2, 1, 0}) {
    SequenceRequest request = request_of(prompt_of(256, ids.size() * 1000), 1);
    request.priority = priority;
    ids.push_back(run.submit(std::move(request)));
  }
  run.run();
  std::vector<SequenceId> served;
  for (const TokenEvent& event : run.events) served.push_back(event.sequence);
  EXPECT_EQ(served, (std::vector<SequenceId>{ids[4], ids[1], ids[3], ids[2], ids[0]}));
}

TEST(EngineCancel, AWaitingSequenceIsForgottenAtOnce) {
  EngineRun run;
  const SequenceId id = run.submit(prompt_of(10), 1);
  run.engine.cancel(id);
  EXPECT_EQ(run.engine.stats().num_requests_waiting, 0u);
  EXPECT_FALSE(run.engine.start_step(run.now));
  EXPECT_TRUE(run.engine.consistent());
}

TEST(EngineCancel, ARunningSequenceIsForgottenAtOnceBetweenSteps) {
  EngineRun run;
  const SequenceId id = run.submit(prompt_of(300), 10);
  run.step();
  EXPECT_GT(run.engine.stats().kv_cache_usage, 0);
  run.engine.cancel(id);
  EXPECT_EQ(run.engine.stats().kv_cache_usage, 0);
  EXPECT_EQ(run.engine.stats().num_requests_running, 0u);
  EXPECT_FALSE(run.engine.start_step(run.now));
  EXPECT_TRUE(run.engine.consistent());
}

TEST(EngineCancel, ASequenceThatAStepComputesIsForgottenWhenTheStepFinishes) {
  for (const size_t prompt : {10, 300}) {
    EngineRun run;
    const SequenceId id = run.submit(prompt_of(prompt), 10);
    const SequenceId other = run.submit(prompt_of(20, 1000), 10);
    ASSERT_TRUE(run.engine.start_step(run.now));
    run.engine.cancel(id);
    run.engine.cancel(id);
    EXPECT_GT(run.engine.stats().kv_cache_usage, 0);
    for (const TokenEvent& event : run.engine.finish_step(run.now)) {
      EXPECT_EQ(event.sequence, other);
    }
    EXPECT_TRUE(run.engine.consistent());
    run.engine.cancel(other);
    EXPECT_EQ(run.engine.stats().kv_cache_usage, 0);
    EXPECT_TRUE(run.engine.consistent());
  }
}

TEST(EngineCancel, ARunningSequenceOutsideTheStepIsForgottenAtOnce) {
  EngineProfile profile = small_profile();
  profile.max_num_batched_tokens = 4;
  EngineRun run(profile);
  const SequenceId first = run.submit(prompt_of(1), 100);
  const SequenceId second = run.submit(prompt_of(50, 100), 10);
  run.step();
  const SequenceId third = run.submit(prompt_of(1, 200), 10);
  ASSERT_TRUE(run.engine.start_step(run.now));
  run.engine.cancel(third);
  EXPECT_EQ(run.engine.stats().num_requests_waiting, 0u);
  run.engine.cancel(second);
  const auto events = run.engine.finish_step(run.now);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].sequence, first);
  EXPECT_TRUE(run.engine.consistent());
  EXPECT_EQ(run.engine.stats().num_requests_running, 1u);
}

TEST(EngineCancel, FinishedAndUnknownSequencesAreIgnored) {
  EngineRun run;
  const SequenceId id = run.submit(prompt_of(10), 1);
  run.run();
  run.engine.cancel(id);
  run.engine.cancel(SequenceId{999});
  EXPECT_TRUE(run.engine.consistent());
}

}  // namespace
}  // namespace kvasir
