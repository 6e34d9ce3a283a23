// Random requests whose blocks are kept, wanted, arriving, arrived and cancelled in any order,
// beside ordinary ones: the books balance after each operation, and every answer is the one that a
// quiet engine gives.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/random.h"
#include "engine/engine_fixture.h"
#include "hashing/token_blocks.h"

namespace kvasir {
namespace {

constexpr uint32_t kAnswerMax = 100;

struct Asked {
  uint32_t tokens = 1;
  TokenId first = 0;
  uint64_t salt = 0;
  uint64_t seed = 0;

  auto key() const { return std::tie(tokens, first, salt, seed); }
  bool operator<(const Asked& other) const { return key() < other.key(); }
  SequenceRequest request(uint32_t max_tokens) const {
    SequenceRequest request = request_of(prompt_of(tokens, first), max_tokens);
    request.cache_salt = salt;
    request.answer_seed = seed;
    return request;
  }
};

class RandomTransfers {
 public:
  RandomTransfers(uint64_t seed, EngineOptions options)
      : random_(seed),
        profile_(random_profile()),
        memory_(memory_of(profile_)),
        run_(profile_, (options.memory = memory_, options)) {}

  void operate() {
    switch (random_.below(8)) {
      case 0:
        return submit();
      case 1:
        return random_.below(3) == 0 ? cancel() : submit();
      case 2:
        return bring();
      case 3:
        return random_.below(2) ? release_kept() : bring();
      default:
        return step();
    }
  }

  void drain() {
    for (int i = 0; i < 100'000 && !at_rest(); ++i) {
      bring();
      release_kept();
      step();
    }
    const EngineStats end = run_.engine.stats();
    ASSERT_TRUE(at_rest()) << end.num_requests_running << " run, " << end.num_requests_waiting
                           << " wait, usage " << end.kv_cache_usage << ", coming " << coming_.size()
                           << ", kept " << kept_.size();
    while (!kept_.empty()) release_kept();
    EXPECT_EQ(run_.engine.stats().kv_cache_usage, 0);
    for (const auto& [id, asked] : asked_) {
      const std::vector<TokenId> answer = run_.answer(SequenceId{id});
      if (cancelled_.count(id) == 0) {
        EXPECT_EQ(answer.size(), max_tokens_.at(id)) << id;
      }
      const std::vector<TokenId>& expected = reference(asked);
      ASSERT_TRUE(std::equal(answer.begin(), answer.end(), expected.begin())) << "sequence " << id;
    }
  }

  const Engine& engine() const { return run_.engine; }

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

  bool at_rest() const {
    const EngineStats stats = run_.engine.stats();
    return stats.num_requests_running + stats.num_requests_waiting == 0 && coming_.empty();
  }

  void submit() {
    if (run_.engine.stats().num_requests_waiting > 20) return;
    const Asked asked{static_cast<uint32_t>(1 + random_.below(300)),
                      static_cast<TokenId>(random_.below(3)), random_.below(2), random_.below(3)};
    const auto max_tokens = static_cast<uint32_t>(1 + random_.below(kAnswerMax));
    SequenceRequest request = asked.request(max_tokens);
    request.priority = static_cast<int>(random_.below(3));
    request.keep_blocks = random_.below(4) == 0;
    if (random_.below(2)) request.remote_blocks = static_cast<uint32_t>(random_.below(80));
    const auto id = static_cast<uint64_t>(run_.submit(std::move(request)));
    asked_[id] = asked;
    max_tokens_[id] = max_tokens;
  }

  void cancel() {
    if (asked_.empty()) return;
    auto chosen = asked_.begin();
    std::advance(chosen, static_cast<ptrdiff_t>(random_.below(asked_.size())));
    run_.engine.cancel(SequenceId{chosen->first});
    cancelled_.insert(*chosen);
  }

  // Blocks on their way get a step further.
  void bring() {
    if (coming_.empty()) return;
    auto chosen = coming_.begin() + static_cast<ptrdiff_t>(random_.below(coming_.size()));
    const WantedBlocks wanted = *chosen;
    if (random_.below(3) == 0) return run_.engine.arriving(wanted.sequence);
    const Asked& asked = asked_.at(static_cast<uint64_t>(wanted.sequence));
    const auto hashes =
        hash_token_blocks(prompt_of(asked.tokens, asked.first), asked.salt, profile_.block_size);
    size_t there = wanted.blocks.size();
    if (random_.below(3) == 0) there = random_.below(there + 1);
    for (size_t i = 0; i < wanted.blocks.size(); ++i) {
      const BlockHash hash = i < there ? hashes[wanted.first + i] : random_.next();
      fill_kv_block(hash, memory_->block(wanted.blocks[i]));
    }
    coming_.erase(chosen);
    run_.engine.arrived(wanted.sequence, static_cast<uint32_t>(there));
  }

  void release_kept() {
    if (kept_.empty()) return;
    const auto chosen = kept_.begin() + static_cast<ptrdiff_t>(random_.below(kept_.size()));
    run_.engine.release_kept(*chosen);
    kept_.erase(chosen);
  }

  void step() {
    Engine& engine = run_.engine;
    if (!engine.step_running()) {
      if (const auto duration = engine.start_step(run_.now)) run_.now += *duration;
      for (WantedBlocks& wanted : engine.take_wanted()) {
        if (!wanted.blocks.empty()) coming_.push_back(std::move(wanted));
      }
      return;
    }
    if (engine.step_waits()) return;
    for (const TokenEvent& event : engine.finish_step(run_.now)) {
      run_.events.push_back(event);
      if (engine.kept(event.sequence) != nullptr) kept_.push_back(event.sequence);
    }
  }

  const std::vector<TokenId>& reference(const Asked& asked) {
    std::vector<TokenId>& answer = references_[asked];
    if (!answer.empty()) return answer;
    EngineProfile profile = small_profile();
    profile.block_size = profile_.block_size;
    EngineOptions options;
    options.memory = memory_of(profile);
    EngineRun run(profile, options);
    const SequenceId id = run.submit(asked.request(kAnswerMax));
    run.run();
    return answer = run.answer(id);
  }

  Random random_;
  const EngineProfile profile_;
  const std::shared_ptr<KvMemory> memory_;
  EngineRun run_;
  std::map<uint64_t, Asked> asked_, cancelled_;
  std::map<uint64_t, uint32_t> max_tokens_;
  std::map<Asked, std::vector<TokenId>> references_;
  std::vector<WantedBlocks> coming_;
  std::vector<SequenceId> kept_;
};

class EngineMemoryRandom : public testing::TestWithParam<EngineOptions> {};

TEST_P(EngineMemoryRandom, EveryAnswerIsThatOfAQuietEngine) {
  EngineStats total;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    RandomTransfers random(seed, GetParam());
    for (int i = 0; i < 1000; ++i) {
      random.operate();
      ASSERT_TRUE(random.engine().consistent()) << "seed " << seed << ", operation " << i;
    }
    random.drain();
    const EngineStats stats = random.engine().stats();
    total.num_preemptions += stats.num_preemptions;
    total.external_prefix_cache_hits += stats.external_prefix_cache_hits;
    total.prefix_cache_hits += stats.prefix_cache_hits;
    total.cpu_cache_hits += stats.cpu_cache_hits;
  }
  EXPECT_GT(total.num_preemptions, 0u);
  EXPECT_GT(total.external_prefix_cache_hits, 0u);
  EXPECT_EQ(total.prefix_cache_hits > 0, GetParam().prefix_caching);
  EXPECT_EQ(total.cpu_cache_hits > 0, GetParam().cpu_blocks > 0);
}

INSTANTIATE_TEST_SUITE_P(Options, EngineMemoryRandom,
                         testing::Values(EngineOptions{WaitingOrder::kFcfs, true},
                                         EngineOptions{WaitingOrder::kFcfs, false},
                                         EngineOptions{WaitingOrder::kPriority, true},
                                         EngineOptions{WaitingOrder::kFcfs, true, 20}));

}  // namespace
}  // namespace kvasir
