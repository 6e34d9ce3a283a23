// Blocks with bytes: an answer is the same however its blocks came about, and another one when a
// byte of them is wrong; blocks that are kept for others and blocks that come from elsewhere.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/engine_fixture.h"
#include "engine/kv_memory.h"
#include "hashing/token_blocks.h"

namespace kvasir {
namespace {

constexpr uint32_t kAnswer = 40;

SequenceRequest seeded(std::vector<TokenId> prompt, uint32_t max_tokens = kAnswer) {
  SequenceRequest request = request_of(std::move(prompt), max_tokens);
  request.answer_seed = 5;
  return request;
}

SequenceRequest remote(std::vector<TokenId> prompt, uint32_t blocks) {
  SequenceRequest request = seeded(std::move(prompt));
  request.remote_blocks = blocks;
  return request;
}

// A run whose blocks have bytes.
class MemoryRun : public EngineRun {
 public:
  explicit MemoryRun(const EngineProfile& profile = small_profile(), EngineOptions options = {})
      : MemoryRun(profile, options, memory_of(profile)) {}

  std::vector<TokenId> answer_to(SequenceRequest request) {
    const SequenceId id = submit(std::move(request));
    run();
    return answer(id);
  }

  void run_until(SequenceId sequence, size_t tokens) {
    while (answer(sequence).size() < tokens) {
      step();
      ASSERT_LT(steps, 10000) << "the engine makes no progress";
    }
  }

  // What the next start_step() makes room for.
  WantedBlocks wanted() {
    EXPECT_FALSE(engine.start_step(now)) << "there is nothing to compute yet";
    const auto all = engine.take_wanted();
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? WantedBlocks{} : all.front();
  }

  void flip(uint32_t block) { memory->block(block)[17] ^= std::byte{1}; }
  // In every block that holds this one, in use or free.
  int flip_all(BlockHash hash) {
    std::vector<std::byte> bytes(memory->layout().block_bytes());
    fill_kv_block(hash, bytes);
    int flipped = 0;
    for (uint32_t block = 0; block < memory->blocks(); ++block) {
      if (!std::ranges::equal(memory->block(block), bytes)) continue;
      flip(block);
      ++flipped;
    }
    return flipped;
  }

  const std::shared_ptr<KvMemory> memory;

 private:
  MemoryRun(const EngineProfile& profile, EngineOptions& options, std::shared_ptr<KvMemory> blocks)
      : EngineRun(profile, (options.memory = blocks, options)), memory(std::move(blocks)) {}
};

// What brings `wanted` from the kept blocks of another engine.
void bring(const MemoryRun& from, const KeptBlocks& kept, MemoryRun& to,
           const WantedBlocks& wanted) {
  for (size_t i = 0; i < wanted.blocks.size(); ++i) {
    std::ranges::copy(std::as_const(*from.memory).block(kept.blocks[wanted.first + i]),
                      to.memory->block(wanted.blocks[i]).begin());
  }
}

// An engine that has prefilled a prompt and keeps its blocks.
struct Prefilled {
  explicit Prefilled(const std::vector<TokenId>& prompt) {
    SequenceRequest request = seeded(prompt, 1);
    request.keep_blocks = true;
    sequence = run.submit(std::move(request));
    run.step();
  }
  const KeptBlocks& kept() const { return *run.engine.kept(sequence); }

  static EngineProfile roomy_steps() {
    EngineProfile profile = small_profile();
    profile.max_num_batched_tokens = 1024;
    return profile;
  }

  MemoryRun run{roomy_steps()};
  SequenceId sequence;
};

std::vector<TokenId> reference(const std::vector<TokenId>& prompt, uint32_t max_tokens = kAnswer) {
  return MemoryRun().answer_to(seeded(prompt, max_tokens));
}

TEST(EngineMemory, AnswersDependOnTheBlocksAndOnTheSeed) {
  EXPECT_NE(reference(prompt_of(100)), reference(prompt_of(100, 7)));
  SequenceRequest other = seeded(prompt_of(100));
  other.answer_seed = 6;
  EXPECT_NE(MemoryRun().answer_to(other), reference(prompt_of(100)));
  EXPECT_NE(EngineRun().submit(seeded(prompt_of(100))), SequenceId{});
}

TEST(EngineMemory, APromptWithoutAFullBlockHasTheAnswerOfItsSeed) {
  EXPECT_EQ(reference(prompt_of(10), 1).front(), answer_token(5, 0));
  EXPECT_NE(reference(prompt_of(16), 1).front(), answer_token(5, 0));
}

TEST(EngineMemory, AnswersAreTheSameHoweverThePromptIsCut) {
  const auto expected = reference(prompt_of(333));
  for (const uint32_t budget : {1u, 7u, 16u, 17u, 100u}) {
    EngineProfile profile = small_profile();
    profile.max_num_batched_tokens = budget;
    EXPECT_EQ(MemoryRun(profile).answer_to(seeded(prompt_of(333))), expected) << budget;
  }
}

TEST(EngineMemory, AnswersAreTheSameBesideOthersAndAfterPreemption) {
  MemoryRun run;
  std::vector<SequenceId> sequences;
  for (TokenId i = 0; i < 6; ++i) {
    sequences.push_back(run.submit(seeded(prompt_of(300, 1000 * i), 300)));
  }
  run.run();
  EXPECT_GT(run.engine.stats().num_preemptions, 0u);
  for (TokenId i = 0; i < 6; ++i) {
    EXPECT_EQ(run.answer(sequences[i]), reference(prompt_of(300, 1000 * i), 300)) << i;
  }
}

TEST(EngineMemory, AnswersAreTheSameWithoutPrefixCaching) {
  EngineOptions options;
  options.prefix_caching = false;
  MemoryRun run(small_profile(), options);
  EXPECT_EQ(run.answer_to(seeded(prompt_of(100))), reference(prompt_of(100)));
  EXPECT_EQ(run.answer_to(seeded(prompt_of(100))), reference(prompt_of(100)));
  EXPECT_EQ(run.engine.stats().prefix_cache_hits, 0u);
  EXPECT_TRUE(run.engine.cached_hashes().empty());
}

TEST(EngineMemory, AScriptStaysAsItIs) {
  SequenceRequest request = seeded(prompt_of(50), 2);
  request.script = std::make_shared<AnswerScript>(AnswerScript{{11, 12}});
  EXPECT_EQ(MemoryRun().answer_to(request), (std::vector<TokenId>{11, 12}));
}

TEST(EngineMemory, AFlippedByteInACachedBlockChangesTheAnswer) {
  const auto hashes = hash_token_blocks(prompt_of(100), 0, 16);
  for (const BlockHash hash : hashes) {
    MemoryRun run;
    EXPECT_EQ(run.answer_to(seeded(prompt_of(100))), reference(prompt_of(100)));
    EXPECT_EQ(run.answer_to(seeded(prompt_of(100))), reference(prompt_of(100)));
    EXPECT_EQ(run.engine.stats().prefix_cache_hits, 96u);
    EXPECT_EQ(run.flip_all(hash), 1);
    EXPECT_NE(run.answer_to(seeded(prompt_of(100))), reference(prompt_of(100)));
  }
}

TEST(EngineMemory, AByteThatFlipsWhileItIsUsedChangesTheAnswer) {
  MemoryRun run;
  const SequenceId sequence = run.submit(seeded(prompt_of(100), 100));
  for (int i = 0; i < 10; ++i) run.step();
  EXPECT_EQ(run.flip_all(hash_token_blocks(prompt_of(100), 0, 16)[2]), 1);
  run.run();
  const auto expected = reference(prompt_of(100), 100);
  const auto answer = run.answer(sequence);
  EXPECT_TRUE(std::equal(answer.begin(), answer.begin() + 10, expected.begin()));
  EXPECT_NE(answer, expected);
}

class CpuMemory : public testing::TestWithParam<uint32_t> {};

// Fills the cache with other prompts until all that is left of the first is in the CPU tier.
TEST_P(CpuMemory, BytesGoToTheCpuTierAndBack) {
  EngineOptions options;
  options.cpu_blocks = GetParam();
  MemoryRun run(small_profile(), options);
  uint64_t hits = 0;
  for (int round = 0; round < 3; ++round) {
    for (TokenId i = 0; i < 5; ++i) {
      EXPECT_EQ(run.answer_to(seeded(prompt_of(300, 1000 * i))),
                reference(prompt_of(300, 1000 * i)));
    }
    EXPECT_EQ(run.answer_to(seeded(prompt_of(300, 3000))), reference(prompt_of(300, 3000)));
    hits = run.engine.stats().cpu_cache_hits;
  }
  EXPECT_EQ(hits > 0, GetParam() > 1);
}
INSTANTIATE_TEST_SUITE_P(Blocks, CpuMemory, testing::Values(1, 7, 40, 70, 200));

TEST(KeptBlocks, StayInUseUntilTheyAreReleased) {
  Prefilled prefilled(prompt_of(100));
  Engine& engine = prefilled.run.engine;
  ASSERT_NE(engine.kept(prefilled.sequence), nullptr);
  EXPECT_EQ(prefilled.kept().blocks.size(), 6u);
  EXPECT_EQ(prefilled.kept().hashes, hash_token_blocks(prompt_of(100), 0, 16));
  EXPECT_EQ(engine.stats().kv_cache_usage, 6.0 / 64);
  EXPECT_TRUE(engine.consistent());
  EXPECT_FALSE(engine.reset_prefix_cache());
  // 60 blocks do not fit beside them.
  const SequenceId other = prefilled.run.submit(seeded(prompt_of(950, 5000)));
  EXPECT_FALSE(engine.start_step(prefilled.run.now));
  engine.release_kept(prefilled.sequence);
  engine.release_kept(prefilled.sequence);
  EXPECT_EQ(engine.kept(prefilled.sequence), nullptr);
  prefilled.run.run();
  EXPECT_EQ(prefilled.run.answer(other), reference(prompt_of(950, 5000)));
  EXPECT_TRUE(engine.reset_prefix_cache());
}

TEST(KeptBlocks, OfACancelledSequenceThereAreNone) {
  MemoryRun run;
  SequenceRequest request = seeded(prompt_of(100), 5);
  request.keep_blocks = true;
  const SequenceId sequence = run.submit(request);
  run.step();
  run.engine.cancel(sequence);
  EXPECT_EQ(run.engine.kept(sequence), nullptr);
  EXPECT_EQ(run.engine.stats().kv_cache_usage, 0);
}

TEST(KeptBlocks, OfAShortPromptThereAreNoneButItIsKnown) {
  Prefilled prefilled(prompt_of(10));
  ASSERT_NE(prefilled.run.engine.kept(prefilled.sequence), nullptr);
  EXPECT_TRUE(prefilled.kept().blocks.empty());
}

TEST(RemoteBlocks, ABroughtPromptHasTheAnswerOfOneComputedHere) {
  for (const uint32_t tokens : {17u, 96u, 100u, 333u}) {
    const Prefilled prefilled(prompt_of(tokens));
    MemoryRun run;
    const SequenceId sequence = run.submit(remote(prompt_of(tokens), 1000));
    const WantedBlocks wanted = run.wanted();
    EXPECT_EQ(wanted.sequence, sequence);
    EXPECT_EQ(wanted.first, 0u);
    ASSERT_EQ(wanted.blocks.size(), (tokens - 1) / 16) << "one token is computed here";
    EXPECT_EQ(run.engine.stats().num_requests_waiting, 1u);
    EXPECT_EQ(run.engine.stats().num_requests_running, 0u);
    EXPECT_TRUE(run.engine.consistent());
    EXPECT_TRUE(run.engine.cached_hashes().empty()) << "nobody may find them yet";
    bring(prefilled.run, prefilled.kept(), run, wanted);
    run.engine.arrived(sequence, static_cast<uint32_t>(wanted.blocks.size()));
    EXPECT_EQ(run.engine.cached_hashes().size(), wanted.blocks.size());
    EXPECT_TRUE(run.engine.consistent());
    run.run();
    EXPECT_EQ(run.answer(sequence), reference(prompt_of(tokens)));
    const auto external = static_cast<uint32_t>(16 * wanted.blocks.size());
    EXPECT_EQ(run.first(sequence).cached_tokens, external);
    EXPECT_EQ(run.first(sequence).external_tokens, external);
    const EngineStats stats = run.engine.stats();
    EXPECT_EQ(stats.prefix_cache_hits, 0u);
    EXPECT_EQ(stats.external_prefix_cache_queries, tokens);
    EXPECT_EQ(stats.external_prefix_cache_hits, external);
  }
}

TEST(RemoteBlocks, AFlippedByteChangesTheAnswer) {
  const Prefilled prefilled(prompt_of(100));
  for (uint32_t block = 0; block < 6; ++block) {
    MemoryRun run;
    const SequenceId sequence = run.submit(remote(prompt_of(100), 6));
    const WantedBlocks wanted = run.wanted();
    bring(prefilled.run, prefilled.kept(), run, wanted);
    run.flip(wanted.blocks[block]);
    run.engine.arrived(sequence, 6);
    run.run();
    EXPECT_NE(run.answer(sequence), reference(prompt_of(100))) << block;
  }
}

TEST(RemoteBlocks, ABlockOfAnotherPromptOrNothingAtAllChangesTheAnswer) {
  const Prefilled prefilled(prompt_of(100)), stale(prompt_of(100, 7));
  for (const bool nothing : {false, true}) {
    MemoryRun run;
    const SequenceId sequence = run.submit(remote(prompt_of(100), 6));
    WantedBlocks wanted = run.wanted();
    bring(prefilled.run, prefilled.kept(), run, wanted);
    const std::span<std::byte> fourth = run.memory->block(wanted.blocks[3]);
    if (nothing) {
      std::ranges::fill(fourth, std::byte{});
    } else {
      std::ranges::copy(std::as_const(*stale.run.memory).block(stale.kept().blocks[3]),
                        fourth.begin());
    }
    run.engine.arrived(sequence, 6);
    run.run();
    EXPECT_NE(run.answer(sequence), reference(prompt_of(100)));
  }
}

TEST(RemoteBlocks, WhatDoesNotComeIsComputedHere) {
  const Prefilled prefilled(prompt_of(100));
  for (uint32_t there = 0; there < 6; ++there) {
    MemoryRun run;
    const SequenceId sequence = run.submit(remote(prompt_of(100), 6));
    WantedBlocks wanted = run.wanted();
    const WantedBlocks all = wanted;
    wanted.blocks.resize(there);
    bring(prefilled.run, prefilled.kept(), run, wanted);
    for (uint32_t i = there; i < 6; ++i) run.flip(all.blocks[i]);
    run.engine.arrived(sequence, there);
    run.run();
    EXPECT_EQ(run.answer(sequence), reference(prompt_of(100))) << there;
    EXPECT_EQ(run.first(sequence).external_tokens, 16 * there);
  }
}

TEST(RemoteBlocks, WhatIsCachedHereIsNotWanted) {
  const Prefilled prefilled(prompt_of(100));
  MemoryRun run;
  run.answer_to(seeded(prompt_of(50)));
  const SequenceId sequence = run.submit(remote(prompt_of(100), 6));
  const WantedBlocks wanted = run.wanted();
  EXPECT_EQ(wanted.first, 3u);
  EXPECT_EQ(wanted.blocks.size(), 3u);
  bring(prefilled.run, prefilled.kept(), run, wanted);
  run.engine.arrived(sequence, 3);
  run.run();
  EXPECT_EQ(run.answer(sequence), reference(prompt_of(100)));
  EXPECT_EQ(run.first(sequence).cached_tokens, 96u);
  EXPECT_EQ(run.first(sequence).external_tokens, 48u);
}

TEST(RemoteBlocks, WhenAllAreCachedItWaitsForNobody) {
  MemoryRun run;
  run.answer_to(seeded(prompt_of(100)));
  const SequenceId sequence = run.submit(remote(prompt_of(100), 6));
  run.step();
  const auto wanted = run.engine.take_wanted();
  ASSERT_EQ(wanted.size(), 1u);
  EXPECT_EQ(wanted[0].sequence, sequence);
  EXPECT_TRUE(wanted[0].blocks.empty());
  run.engine.arrived(sequence, 0);
  run.run();
  EXPECT_EQ(run.answer(sequence), reference(prompt_of(100)));
}

TEST(RemoteBlocks, ItStopsNobodyAndTakesNoSeat) {
  EngineProfile profile = small_profile();
  profile.max_num_seqs = 1;
  MemoryRun run(profile);
  const SequenceId waits = run.submit(remote(prompt_of(100), 6));
  const SequenceId other = run.submit(seeded(prompt_of(200, 3000)));
  run.run_until(other, kAnswer);
  EXPECT_EQ(run.answer(other), reference(prompt_of(200, 3000)));
  ASSERT_EQ(run.engine.take_wanted().size(), 1u);
  run.engine.arrived(waits, 0);
  run.run();
  EXPECT_EQ(run.answer(waits), reference(prompt_of(100)));
}

TEST(RemoteBlocks, WithoutRoomItWaitsLikeAnybody) {
  MemoryRun run;
  const SequenceId first = run.submit(seeded(prompt_of(900)));
  run.run_until(first, 1);
  const SequenceId waits = run.submit(remote(prompt_of(200, 3000), 12));
  run.step();
  EXPECT_TRUE(run.engine.take_wanted().empty());
  run.run_until(first, kAnswer);
  EXPECT_EQ(run.wanted().blocks.size(), 12u);
  run.engine.arrived(waits, 0);
  run.run();
}

TEST(RemoteBlocks, AreNotPreempted) {
  MemoryRun run;
  const SequenceId waits = run.submit(remote(prompt_of(500, 5000), 31));
  const SequenceId first = run.submit(seeded(prompt_of(200), 200));
  const SequenceId second = run.submit(seeded(prompt_of(200, 1000), 200));
  const Prefilled prefilled(prompt_of(500, 5000));
  run.step();
  const WantedBlocks wanted = run.engine.take_wanted().front();
  bring(prefilled.run, prefilled.kept(), run, wanted);
  run.run_until(first, 200);
  run.run_until(second, 200);
  EXPECT_GT(run.engine.stats().num_preemptions, 0u);
  run.engine.arrived(waits, 31);
  run.run();
  EXPECT_EQ(run.answer(waits), reference(prompt_of(500, 5000)));
  EXPECT_EQ(run.answer(first), reference(prompt_of(200), 200));
  EXPECT_EQ(run.answer(second), reference(prompt_of(200, 1000), 200));
}

TEST(RemoteBlocks, WhoIsPreemptedAfterwardsIsComputedHere) {
  MemoryRun run;
  const SequenceId brought = run.submit(remote(prompt_of(400, 5000), 24));
  const SequenceId first = run.submit(seeded(prompt_of(400), 300));
  const Prefilled prefilled(prompt_of(400, 5000));
  run.step();
  bring(prefilled.run, prefilled.kept(), run, run.engine.take_wanted().front());
  run.engine.arrived(brought, 24);
  run.run_until(brought, 10);
  for (TokenId i = 0; i < 4; ++i) run.submit(seeded(prompt_of(60, 7000 + 100 * i), 100));
  run.run();
  EXPECT_GT(run.engine.stats().num_preemptions, 0u);
  EXPECT_EQ(run.answer(first), reference(prompt_of(400), 300));
  EXPECT_EQ(run.answer(brought), reference(prompt_of(400, 5000)));
}

TEST(RemoteBlocks, ACancelledSequenceGoesWhenNobodyWritesAnyMore) {
  for (const bool arriving : {false, true}) {
    MemoryRun run;
    const SequenceId sequence = run.submit(remote(prompt_of(100), 6));
    run.wanted();
    if (arriving) run.engine.arriving(sequence);
    run.engine.cancel(sequence);
    run.engine.cancel(sequence);
    EXPECT_EQ(run.engine.stats().num_requests_waiting, 0u);
    EXPECT_EQ(run.engine.stats().kv_cache_usage, 6.0 / 64);
    EXPECT_TRUE(run.engine.consistent());
    EXPECT_FALSE(run.engine.start_step(run.now));
    run.engine.arriving(sequence);
    run.engine.arrived(sequence, 6);
    EXPECT_EQ(run.engine.stats().kv_cache_usage, 0);
    EXPECT_TRUE(run.engine.cached_hashes().empty());
    EXPECT_TRUE(run.engine.consistent());
  }
}

TEST(RemoteBlocks, SequencesWhoseBlocksKeepEachOtherWaitingGiveWay) {
  MemoryRun run;
  const SequenceId first = run.submit(remote(prompt_of(500), 31));
  const SequenceId second = run.submit(remote(prompt_of(500, 5000), 31));
  EXPECT_FALSE(run.engine.start_step(run.now));
  const auto wanted = run.engine.take_wanted();
  ASSERT_EQ(wanted.size(), 2u);
  const Prefilled one(prompt_of(500)), other(prompt_of(500, 5000));
  bring(one.run, one.kept(), run, wanted[0]);
  bring(other.run, other.kept(), run, wanted[1]);
  // Room for two more blocks: 31 tokens of the first's answer, and the second can have one.
  SequenceRequest blocker = seeded(prompt_of(20, 9000), 1);
  blocker.keep_blocks = true;
  const SequenceId blocks = run.submit(blocker);
  run.step();
  run.engine.arrived(first, 31);
  run.engine.arrived(second, 31);
  run.engine.release_kept(blocks);
  run.run();
  EXPECT_EQ(run.answer(first), reference(prompt_of(500)));
  EXPECT_EQ(run.answer(second), reference(prompt_of(500, 5000)));
}

TEST(RemoteBlocks, ThatWaitForASeatGiveWayToTheOnlyOneThatRuns) {
  for (const bool prefix_caching : {false, true}) {
    EngineProfile profile = small_profile();
    profile.max_num_seqs = 1;
    EngineOptions options;
    options.prefix_caching = prefix_caching;
    MemoryRun run(profile, options);
    const SequenceId brought = run.submit(remote(prompt_of(500, 5000), 31));
    const SequenceId runs = run.submit(seeded(prompt_of(480), 100));
    run.step();
    ASSERT_EQ(run.engine.take_wanted().size(), 1u);
    run.engine.arrived(brought, 0);
    run.run();
    EXPECT_EQ(run.engine.stats().num_preemptions, 0u);
    EXPECT_EQ(run.answer(runs), reference(prompt_of(480), 100));
    EXPECT_EQ(run.answer(brought), reference(prompt_of(500, 5000)));
  }
}

TEST(Pipelining, AStepDoesNotEndBeforeItsBlocksAreThere) {
  const Prefilled prefilled(prompt_of(100));
  MemoryRun run;
  const SequenceId sequence = run.submit(remote(prompt_of(100), 6));
  const WantedBlocks wanted = run.wanted();
  run.engine.arriving(sequence);
  const auto duration = run.engine.start_step(run.now);
  ASSERT_TRUE(duration);
  EXPECT_TRUE(run.engine.step_waits());
  EXPECT_EQ(run.engine.last_step_tokens(), 4u);
  EXPECT_TRUE(run.engine.cached_hashes().empty());
  bring(prefilled.run, prefilled.kept(), run, wanted);
  run.engine.arrived(sequence, 6);
  EXPECT_FALSE(run.engine.step_waits());
  EXPECT_EQ(run.engine.cached_hashes().size(), 6u);
  run.now += *duration;
  for (const TokenEvent& event : run.engine.finish_step(run.now)) run.events.push_back(event);
  run.run();
  EXPECT_EQ(run.answer(sequence), reference(prompt_of(100)));
  EXPECT_EQ(run.first(sequence).external_tokens, 96u);
}

TEST(Pipelining, WhatDoesNotComeIsComputedInTheNextStep) {
  const Prefilled prefilled(prompt_of(100));
  MemoryRun run;
  const SequenceId sequence = run.submit(remote(prompt_of(100), 6));
  WantedBlocks wanted = run.wanted();
  run.engine.arriving(sequence);
  ASSERT_TRUE(run.engine.start_step(run.now));
  wanted.blocks.resize(2);
  bring(prefilled.run, prefilled.kept(), run, wanted);
  run.engine.arrived(sequence, 2);
  EXPECT_TRUE(run.engine.finish_step(run.now).empty());
  run.run();
  EXPECT_EQ(run.answer(sequence), reference(prompt_of(100)));
  EXPECT_EQ(run.first(sequence).cached_tokens, 32u);
}

TEST(Pipelining, ACancelledSequenceGoesWithTheStepThatWaitedForIt) {
  MemoryRun run;
  const SequenceId sequence = run.submit(remote(prompt_of(100), 6));
  run.wanted();
  run.engine.arriving(sequence);
  ASSERT_TRUE(run.engine.start_step(run.now));
  run.engine.cancel(sequence);
  EXPECT_TRUE(run.engine.step_waits());
  run.engine.arrived(sequence, 0);
  EXPECT_TRUE(run.engine.finish_step(run.now).empty());
  EXPECT_EQ(run.engine.stats().kv_cache_usage, 0);
  EXPECT_TRUE(run.engine.consistent());
}

TEST(EngineMemory, WithoutMemoryRemoteAndKeptBlocksAreCountedAllTheSame) {
  EngineRun run;
  SequenceRequest request = remote(prompt_of(100), 6);
  request.keep_blocks = true;
  const SequenceId sequence = run.submit(request);
  EXPECT_FALSE(run.engine.start_step(run.now));
  EXPECT_EQ(run.engine.take_wanted().size(), 1u);
  run.engine.arrived(sequence, 6);
  while (run.engine.stats().num_requests_waiting + run.engine.stats().num_requests_running > 0) {
    ASSERT_FALSE(run.step().empty());
  }
  EXPECT_EQ(run.engine.kept(sequence)->blocks.size(), 6u);
  EXPECT_TRUE(run.engine.consistent());
  run.engine.release_kept(sequence);
  EXPECT_EQ(run.engine.stats().kv_cache_usage, 0);
}

}  // namespace
}  // namespace kvasir
