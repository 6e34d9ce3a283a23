// The exact index: what a stored and removed block costs, and a prompt of 131,072 tokens. Whole
// workloads beside other designs are in bench/index.
#include <benchmark/benchmark.h>

#include "base/random.h"
#include "hashing/token_blocks.h"
#include "kvindex/chain_index.h"

namespace kvasir {
namespace {

constexpr size_t kBenchBlocks = 8192;  // of 16 tokens each
constexpr uint32_t kBenchHolders = 64;

struct BenchSequence {
  explicit BenchSequence(uint64_t seed, size_t blocks) {
    Random random(seed);
    for (BlockHash parent = 1; hashes.size() < blocks;) {
      contents.push_back(random.next());
      hashes.push_back(parent = chain_block(parent, contents.back()));
      names.push_back(mix64(parent));
    }
  }
  void store(ChainIndex& index, HolderId holder, size_t blocks) const {
    index.store({holder,
                 CacheTier::kGpu,
                 {},
                 1,
                 std::span(names).first(blocks),
                 std::span(contents).first(blocks)});
  }
  std::vector<uint64_t> contents, names;
  std::vector<BlockHash> hashes;
};

// A new sequence of 128 blocks is stored, and an old one removed from its end, block by block.
void store_and_remove(benchmark::State& state) {
  constexpr size_t kBlocks = 128;
  std::vector<BenchSequence> sequences;
  for (uint64_t seed = 0; seed < 4096; ++seed) sequences.emplace_back(seed, kBlocks);
  ChainIndex index({});
  const HolderId holder = *index.add_holder();
  size_t next = 0;
  for (auto _ : state) {
    sequences[next % sequences.size()].store(index, holder, kBlocks);
    const BenchSequence& old = sequences[(next + sequences.size() / 2) % sequences.size()];
    for (size_t i = kBlocks; i-- > 0;) {
      index.remove(holder, CacheTier::kGpu, std::span(old.names).subspan(i, 1));
    }
    ++next;
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * 2 * kBlocks));
}
BENCHMARK(store_and_remove);

// Each holder has another part of the prompt.
void match_long_prompt(benchmark::State& state) {
  const BenchSequence prompt(1, kBenchBlocks);
  ChainIndex index({});
  for (uint32_t i = 0; i < kBenchHolders; ++i) {
    prompt.store(index, *index.add_holder(), kBenchBlocks * (i + 1) / kBenchHolders);
  }
  std::vector<HolderMatch> matches;
  for (auto _ : state) {
    KnownChain chain(prompt.hashes);
    index.match(chain, matches);
    benchmark::DoNotOptimize(matches.data());
  }
}
BENCHMARK(match_long_prompt);

// Visible at once; the blocks are swept away afterwards, which is not measured.
void clear_holder(benchmark::State& state) {
  const BenchSequence prompt(1, kBenchBlocks);
  ChainIndex index({});
  const HolderId holder = *index.add_holder();
  for (auto _ : state) {
    state.PauseTiming();
    while (index.tidy()) {
    }
    prompt.store(index, holder, kBenchBlocks);
    state.ResumeTiming();
    index.clear(holder);
  }
}
BENCHMARK(clear_holder);

}  // namespace
}  // namespace kvasir

BENCHMARK_MAIN();
