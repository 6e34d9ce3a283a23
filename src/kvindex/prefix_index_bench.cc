// Cost of the approximate index for a 100k-token prompt: 200 blocks of 512 tokens.
#include <benchmark/benchmark.h>

#include <memory>

#include "base/random.h"
#include "kvindex/approximate_index.h"

namespace kvasir {
namespace {

constexpr size_t kBlocks = 200;
constexpr BlockSize kBlock{PromptUnit::kBytes, 2048};

std::vector<BlockHash> chain_of(uint64_t prompt) {
  std::vector<BlockHash> chain;
  for (uint64_t i = 0; i < kBlocks; ++i) chain.push_back(mix64(prompt * kBlocks + i));
  return chain;
}

// Endpoints full of other prompts; `shared` blocks of prompt 0 are on each of them.
std::unique_ptr<PrefixIndex> full_index(size_t endpoints, size_t shared) {
  PrefixIndexOptions options;
  options.endpoints = endpoints;
  auto index = std::make_unique<ApproximateIndex>(options);
  const auto wanted = chain_of(0);
  for (uint32_t i = 0; i < endpoints; ++i) {
    for (uint64_t prompt = 1; prompt <= 10; ++prompt) {
      index->insert(EndpointId(i), {kBlock, chain_of(i * 10 + prompt)});
    }
    index->insert(EndpointId(i), PromptView{kBlock, wanted}.head(shared));
  }
  return index;
}

void match_everywhere(benchmark::State& state) {
  const size_t endpoints = state.range(0);
  const auto index = full_index(endpoints, state.range(1));
  const auto chain = chain_of(0);
  std::vector<EndpointId> ids;
  for (uint32_t i = 0; i < endpoints; ++i) ids.push_back(EndpointId(i));
  std::vector<uint32_t> matched(endpoints);
  for (auto _ : state) {
    index->match({kBlock, chain}, ids, matched);
    benchmark::DoNotOptimize(matched.data());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(match_everywhere)
    ->ArgNames({"endpoints", "shared"})
    ->Args({8, 0})
    ->Args({8, 137})
    ->Args({8, 200})
    ->Args({1000, 0})
    ->Args({1000, 137});

// Every block is new and pushes out an old one.
void insert_new(benchmark::State& state) {
  const auto index = full_index(1, 0);
  std::vector<std::vector<BlockHash>> chains;
  for (uint64_t prompt = 100; prompt < 164; ++prompt) chains.push_back(chain_of(prompt));
  size_t next = 0;
  for (auto _ : state) index->insert(EndpointId(0), {kBlock, chains[next++ % chains.size()]});
  state.counters["bytes_per_block"] =
      static_cast<double>(index->memory_bytes()) / static_cast<double>(index->size());
}
BENCHMARK(insert_new);

void insert_known(benchmark::State& state) {
  const auto index = full_index(1, 0);
  const auto chain = chain_of(0);
  for (auto _ : state) index->insert(EndpointId(0), {kBlock, chain});
}
BENCHMARK(insert_known);

}  // namespace
}  // namespace kvasir

BENCHMARK_MAIN();
