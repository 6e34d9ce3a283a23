// What the engine tells of its blocks: enough, and in the right order, for somebody who only
// listens to know at every moment what its caches hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "base/random.h"
#include "engine/engine_fixture.h"
#include "hashing/token_blocks.h"
#include "wire/kv_events/kv_event.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint64_t kSalts = 3;
std::string salt_text(uint64_t salt) {
  return salt == 0 ? "" : "salt " + std::to_string(salt);
}

// Believes what it is told and nothing else.
class Listener final : public KvEventSink {
 public:
  explicit Listener(uint32_t block_size) : block_size_(block_size) {}

  void on_stored(const KvBlocksStored& event) override {
    ++stored_events;
    ASSERT_EQ(event.block_size, block_size_);
    if (event.medium == KvMedium::kCpu) {
      EXPECT_THAT(event.token_ids, IsEmpty());
      for (const uint64_t hash : event.block_hashes) {
        EXPECT_TRUE(gpu.count(hash) > 0) << "it is told of before the GPU gives it up";
        EXPECT_EQ(++cpu[hash], 1);
      }
      return;
    }
    ASSERT_EQ(event.token_ids.size(), event.block_hashes.size() * block_size_);
    check_chain(event);
    for (const uint64_t hash : event.block_hashes) ++gpu[hash];
    last_stored.assign(event.block_hashes.begin(), event.block_hashes.end());
    last_tokens.assign(event.token_ids.begin(), event.token_ids.end());
    last_parent = event.parent_block_hash;
    last_salt = event.cache_salt;
    last_adapter = event.lora_name;
  }
  void on_removed(const KvBlocksRemoved& event) override {
    ++removed_events;
    ASSERT_EQ(event.block_hashes.size(), 1u);
    auto& tier = event.medium == KvMedium::kCpu ? cpu : gpu;
    const auto held = tier.find(event.block_hashes[0]);
    ASSERT_NE(held, tier.end()) << "only what was stored is removed";
    if (--held->second == 0) tier.erase(held);
  }
  void on_all_cleared() override {
    ++clears;
    gpu.clear();
    cpu.clear();
  }
  void on_skipped(std::string_view) override { FAIL(); }

  // As the pool gives them.
  std::vector<BlockHash> on_gpu() const {
    std::vector<BlockHash> hashes;
    for (const auto& [hash, copies] : gpu) {
      hashes.insert(hashes.end(), static_cast<size_t>(copies), hash);
    }
    return hashes;
  }

  std::map<uint64_t, int> gpu;  // how often each is held
  std::map<uint64_t, int> cpu;
  std::vector<uint64_t> last_stored;
  std::vector<uint32_t> last_tokens;
  std::optional<uint64_t> last_parent;
  std::string last_salt;
  std::string last_adapter;
  int stored_events = 0;
  int removed_events = 0;
  int clears = 0;

 private:
  // The tokens after the parent give the hashes; the first block names its salt.
  void check_chain(const KvBlocksStored& event) const {
    BlockHash parent = 0;
    if (event.parent_block_hash) {
      parent = *event.parent_block_hash;
      EXPECT_GT(gpu.count(parent), 0u) << "the block before it is there";
    } else {
      uint64_t salt = 0;
      while (salt < kSalts && salt_text(salt) != event.cache_salt) ++salt;
      parent = token_root(salt);
    }
    for (size_t block = 0; block < event.block_hashes.size(); ++block) {
      parent = hash_token_block(parent, event.token_ids.subspan(block * block_size_, block_size_));
      EXPECT_EQ(event.block_hashes[block], parent);
    }
  }

  const uint32_t block_size_;
};

std::vector<BlockHash> sorted(std::vector<BlockHash> hashes) {
  std::sort(hashes.begin(), hashes.end());
  return hashes;
}

SequenceRequest salted(std::vector<TokenId> prompt, uint32_t max_tokens, uint64_t salt) {
  SequenceRequest request = request_of(std::move(prompt), max_tokens);
  request.cache_salt = salt;
  request.salt_text = salt_text(salt);
  return request;
}

TEST(KvEvents, AStepTellsOnceOfAllBlocksThatASequenceFills) {
  Listener listener(16);
  EngineRun run(small_profile(), {}, &listener);
  run.submit(prompt_of(300), 1);  // the budget is 256
  run.step();
  EXPECT_EQ(listener.stored_events, 1);
  EXPECT_EQ(listener.last_stored, hash_token_blocks(prompt_of(256), 0, 16));
  EXPECT_EQ(listener.last_tokens, prompt_of(256));
  EXPECT_EQ(listener.last_parent, std::nullopt);
  run.run();
  EXPECT_EQ(listener.stored_events, 2);
  EXPECT_EQ(listener.last_stored.size(), 2u);
  EXPECT_EQ(listener.last_tokens, prompt_of(32, 256));
  EXPECT_EQ(listener.last_parent, hash_token_blocks(prompt_of(256), 0, 16).back());
}

TEST(KvEvents, TheStepThatFillsABlockIsToldOfWhenItStarts) {
  Listener listener(16);
  EngineRun run(small_profile(), {}, &listener);
  run.submit(prompt_of(40), 1);
  EXPECT_TRUE(run.engine.start_step(run.now));
  EXPECT_EQ(listener.stored_events, 1);
}

TEST(KvEvents, BlocksThatFillWhileDecodingAreToldOf) {
  Listener listener(16);
  EngineRun run(small_profile(), {}, &listener);
  const SequenceId id = run.submit(prompt_of(20), 30);
  run.run();
  // 49 tokens were computed: the answer's last one never was.
  EXPECT_EQ(listener.stored_events, 3);
  std::vector<TokenId> all = prompt_of(20);
  for (const TokenId token : run.answer(id)) all.push_back(token);
  EXPECT_EQ(listener.last_tokens, std::vector<TokenId>(all.begin() + 32, all.begin() + 48));
  EXPECT_EQ(listener.last_parent, hash_token_blocks(all, 0, 16)[1]);
}

TEST(KvEvents, BlocksThatAreFoundAgainAreNotToldOfAgain) {
  Listener listener(16);
  EngineRun run(small_profile(), {}, &listener);
  run.submit(prompt_of(100), 1);
  run.run();
  run.submit(prompt_of(100), 1);
  run.run();
  EXPECT_EQ(listener.stored_events, 1);
  run.submit(prompt_of(120), 1);
  run.run();
  EXPECT_EQ(listener.stored_events, 2);
  EXPECT_EQ(listener.last_stored.size(), 1u);
}

// The second comes when the first block is findable; of the last, which is computed anyway, there
// are two copies from then on.
TEST(KvEvents, EveryCopyIsToldOfWhenItComesAndWhenItGoes) {
  Listener listener(16);
  EngineRun run(small_profile(), {}, &listener);
  run.submit(prompt_of(32), 1);
  run.submit(prompt_of(32), 1);
  run.run();
  EXPECT_THAT(sorted(run.engine.cached_hashes()), testing::ElementsAreArray(listener.on_gpu()));
  EXPECT_EQ(listener.gpu[hash_token_blocks(prompt_of(32), 0, 16)[1]], 2);
  run.submit(prompt_of(1000, 5000), 1);
  run.run();
  EXPECT_EQ(listener.removed_events, 2);
  EXPECT_EQ(sorted(run.engine.cached_hashes()), listener.on_gpu());
}

TEST(KvEvents, NamespacesAreToldByName) {
  Listener listener(16);
  EngineRun run(small_profile(), {}, &listener);
  SequenceRequest request = salted(prompt_of(300), 1, 2);
  request.adapter = "poet";
  run.submit(std::move(request));
  run.step();
  EXPECT_EQ(listener.last_salt, "salt 2");
  EXPECT_EQ(listener.last_adapter, "poet");
  run.run();
  EXPECT_EQ(listener.last_salt, "") << "the first block has it";
  EXPECT_EQ(listener.last_adapter, "poet");
}

TEST(KvEvents, OnlyAResetThatWorkedIsToldOf) {
  Listener listener(16);
  EngineRun run(small_profile(), {}, &listener);
  run.submit(prompt_of(100), 5);
  run.step();
  EXPECT_FALSE(run.engine.reset_prefix_cache());
  EXPECT_EQ(listener.clears, 0);
  run.run();
  EXPECT_TRUE(run.engine.reset_prefix_cache());
  EXPECT_EQ(listener.clears, 1);
  EXPECT_THAT(run.engine.cached_hashes(), IsEmpty());
}

TEST(KvEvents, WithoutAPrefixCacheNothingIsTold) {
  Listener listener(16);
  EngineRun run(small_profile(), {WaitingOrder::kFcfs, false}, &listener);
  run.submit(prompt_of(100), 50);
  run.run();
  EXPECT_EQ(listener.stored_events + listener.removed_events, 0);
}

EngineOptions with_cpu_blocks(uint32_t blocks) {
  EngineOptions options;
  options.cpu_blocks = blocks;
  return options;
}

uint32_t cached_tokens(EngineRun& run, std::vector<TokenId> prompt) {
  const SequenceId id = run.submit(std::move(prompt), 1);
  run.run();
  return run.first(id).cached_tokens;
}

TEST(CpuTier, KeepsWhatTheGpuGivesUpAndGivesItBack) {
  Listener listener(16);
  EngineRun run(small_profile(), with_cpu_blocks(64), &listener);
  cached_tokens(run, prompt_of(512));
  cached_tokens(run, prompt_of(1000, 5000));
  EXPECT_EQ(listener.cpu.size(), 31u) << "two of the first prompt's blocks are on the GPU still";
  EXPECT_EQ(run.engine.stats().cpu_blocks, 31u);
  EXPECT_EQ(cached_tokens(run, prompt_of(512)), 496u);
  EXPECT_EQ(run.engine.stats().cpu_cache_hits, 480u);
  EXPECT_EQ(sorted(run.engine.cached_hashes()), listener.on_gpu());
}

TEST(CpuTier, LoadingTakesTheTimeOfTheHostLink) {
  EngineProfile profile = small_profile();
  profile.kv_bytes_per_token = 1'000'000;
  profile.host_link_gb_per_s = 0.1;  // 10 ms a token
  EngineRun run(profile, with_cpu_blocks(64));
  cached_tokens(run, prompt_of(512));
  cached_tokens(run, prompt_of(1000, 5000));
  run.submit(prompt_of(512), 1);
  const auto duration = run.engine.start_step(run.now);
  ASSERT_TRUE(duration);
  EXPECT_NEAR(to_seconds(*duration), 480 * 0.01 + 0.001016, 1e-9);
}

TEST(CpuTier, ForgetsWhatWasUsedLongestAgo) {
  Listener listener(16);
  EngineRun run(small_profile(), with_cpu_blocks(4), &listener);
  cached_tokens(run, prompt_of(512));
  cached_tokens(run, prompt_of(1000, 5000));
  EXPECT_EQ(listener.cpu.size(), 4u);
  // Tails go first, so what is left is of the prompt's beginning.
  const auto chain = hash_token_blocks(prompt_of(512), 0, 16);
  for (const auto& [hash, copies] : listener.cpu) {
    EXPECT_LE(std::find(chain.begin(), chain.end(), hash) - chain.begin(), 5);
  }
}

TEST(CpuTier, AResetEmptiesItToo) {
  EngineRun run(small_profile(), with_cpu_blocks(64));
  cached_tokens(run, prompt_of(512));
  cached_tokens(run, prompt_of(1000, 5000));
  EXPECT_TRUE(run.engine.reset_prefix_cache());
  EXPECT_EQ(run.engine.stats().cpu_blocks, 0u);
  EXPECT_EQ(cached_tokens(run, prompt_of(512)), 0u);
}

// Prompts of few kinds in a cache that is too small, with salts, preemptions, cancellations,
// resets: after every operation the listener holds exactly what the pool holds.
class KvEventsRandom : public testing::TestWithParam<uint32_t> {};

TEST_P(KvEventsRandom, WhoeverListensKnowsExactlyWhatThePoolHolds) {
  uint64_t preemptions = 0, loaded = 0;
  int clears = 0, removed = 0;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    Random random(seed);
    EngineProfile profile = small_profile();
    profile.block_size = random.below(2) ? 16 : 5;
    profile.max_num_batched_tokens = static_cast<uint32_t>(20 + random.below(200));
    Listener listener(profile.block_size);
    EngineRun run(profile, with_cpu_blocks(GetParam()), &listener);
    std::vector<SequenceId> submitted;
    for (int i = 0; i < 1500; ++i) {
      switch (random.below(5)) {
        case 0:
          if (run.engine.stats().num_requests_waiting > 4) break;
          submitted.push_back(run.submit(
              salted(prompt_of(1 + random.below(500), static_cast<TokenId>(random.below(4) * 1000)),
                     static_cast<uint32_t>(1 + random.below(120)), random.below(kSalts))));
          break;
        case 1:
          if (!submitted.empty() && random.below(8) == 0) run.engine.cancel(submitted.back());
          if (random.below(20) == 0) run.engine.reset_prefix_cache();
          break;
        default:
          run.step();
      }
      ASSERT_EQ(sorted(run.engine.cached_hashes()), listener.on_gpu()) << "operation " << i;
      ASSERT_EQ(run.engine.stats().cpu_blocks, listener.cpu.size()) << "operation " << i;
      if (run.engine.stats().num_requests_running + run.engine.stats().num_requests_waiting == 0) {
        run.engine.reset_prefix_cache();
      }
    }
    preemptions += run.engine.stats().num_preemptions;
    loaded += run.engine.stats().cpu_cache_hits;
    clears += listener.clears;
    removed += listener.removed_events;
  }
  EXPECT_GT(preemptions, 10u);
  EXPECT_GT(clears, 3);
  EXPECT_GT(removed, 1000);
  EXPECT_EQ(loaded > 0, GetParam() > 0);
}

INSTANTIATE_TEST_SUITE_P(CpuBlocks, KvEventsRandom, testing::Values(0, 7, 200));

}  // namespace
}  // namespace kvasir
