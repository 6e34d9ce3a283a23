#include <gtest/gtest.h>

#include <set>

#include "engine/engine_fixture.h"

namespace kvasir {
namespace {

TEST(Answer, IsMadeOfSpacedWords) {
  for (uint32_t position = 0; position < 10000; ++position) {
    const TokenId token = answer_token(5, position);
    ASSERT_GE(token, kFirstSpacedWord);
    ASSERT_LT(token, kFirstBareWord);
  }
}

TEST(Answer, UsesAllWordsAboutEquallyOften) {
  std::vector<int> counts(kWords);
  for (uint32_t position = 0; position < 100 * kWords; ++position) {
    ++counts[answer_token(5, position) - kFirstSpacedWord];
  }
  for (const int count : counts) {
    EXPECT_GT(count, 50);
    EXPECT_LT(count, 150);
  }
}

TEST(Answer, SeedDependsOnEachOfItsInputs) {
  const auto prompt = prompt_of(20);
  const std::set<uint64_t> seeds = {
      answer_seed(0, prompt, 0, 0),          answer_seed(1, prompt, 0, 0),
      answer_seed(0, prompt, 1, 0),          answer_seed(0, prompt, 0, 1),
      answer_seed(0, prompt, 1, 1),          answer_seed(0, prompt_of(21), 0, 0),
      answer_seed(0, prompt_of(20, 1), 0, 0)};
  EXPECT_EQ(seeds.size(), 7u);
  EXPECT_EQ(answer_seed(3, prompt, 4, 5), answer_seed(3, prompt, 4, 5));
}

TEST(Answer, DoesNotDependOnEngineBatchOrOrder) {
  EngineRun alone, crowded, tight{[] {
    EngineProfile profile = small_profile();
    profile.block_size = 4;
    profile.max_num_batched_tokens = 7;
    return profile;
  }()};
  SequenceRequest request = request_of(prompt_of(50, 1000), 20);
  request.answer_seed = answer_seed(1, request.prompt, 2, 0);
  for (TokenId i = 0; i < 10; ++i) crowded.submit(prompt_of(80, i * 100), 30);
  const SequenceId in_crowd = crowded.submit(request);
  const SequenceId by_itself = alone.submit(request);
  const SequenceId in_pieces = tight.submit(request);
  for (EngineRun* run : {&alone, &crowded, &tight}) run->run();

  std::vector<TokenId> expected;
  for (uint32_t i = 0; i < 20; ++i) expected.push_back(answer_token(request.answer_seed, i));
  EXPECT_EQ(alone.answer(by_itself), expected);
  EXPECT_EQ(crowded.answer(in_crowd), expected);
  EXPECT_EQ(tight.answer(in_pieces), expected);
}

TEST(Answer, AScriptIsFollowedAndThenEnds) {
  EngineRun run;
  SequenceRequest request = request_of(prompt_of(20), 5);
  request.script = std::make_shared<AnswerScript>(AnswerScript{{7, 8, 9}});
  const SequenceId sequence = run.submit(request);
  run.run();
  EXPECT_EQ(run.answer(sequence), (std::vector<TokenId>{7, 8, 9, kEndOfSequence, kEndOfSequence}));
}

// A prompt that goes on with a scripted answer finds the answer's blocks too.
TEST(Answer, TheBlocksOfAScriptAreCachedAsItsTokens) {
  EngineRun run;
  SequenceRequest request = request_of(prompt_of(16), 17);
  auto script = std::make_shared<AnswerScript>();
  script->tokens.assign(17, 5);
  request.script = script;
  run.submit(request);
  run.run();
  std::vector<TokenId> longer = prompt_of(16);
  longer.insert(longer.end(), 17, 5);
  const SequenceId next = run.submit(longer, 1);
  run.run();
  EXPECT_EQ(run.first(next).cached_tokens, 32u);
}

}  // namespace
}  // namespace kvasir
