// Hashing a prompt of 100,000 tokens: in an engine, block by block of 16 tokens, and in a gateway,
// by 2 kB.
#include <benchmark/benchmark.h>

#include <string>

#include "hashing/prompt_blocks.h"
#include "hashing/token_blocks.h"

namespace kvasir {
namespace {

void token_blocks(benchmark::State& state) {
  const std::vector<uint32_t> tokens(100'000, 300);
  for (auto _ : state) benchmark::DoNotOptimize(hash_token_blocks(tokens, 1, 16));
}
BENCHMARK(token_blocks)->Unit(benchmark::kMicrosecond);

void prompt_blocks(benchmark::State& state) {
  const std::string prompt(400'000, 'x');
  std::vector<BlockHash> blocks;
  for (auto _ : state) {
    hash_prompt_blocks(prompt, 1, kPromptBytesPerBlock, blocks);
    benchmark::DoNotOptimize(blocks.data());
  }
}
BENCHMARK(prompt_blocks)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace kvasir

BENCHMARK_MAIN();
