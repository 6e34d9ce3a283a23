// 128k token ids as a JSON array, close together and spaced.
#include <benchmark/benchmark.h>

#include <string>

#include "base/random.h"
#include "wire/request/prompt_ids.h"

namespace kvasir {
namespace {

constexpr size_t kIds = 131072;

std::string ids_text(std::string_view comma) {
  Random random(1);
  std::string text = "[";
  for (size_t i = 0; i < kIds; ++i) {
    text.append(i == 0 ? "" : comma).append(std::to_string(random.below(151'000)));
  }
  return text + "]";
}

void read_ids(benchmark::State& state, const std::string& text) {
  std::vector<uint32_t> ids;
  for (auto _ : state) benchmark::DoNotOptimize(read_prompt_ids(text, kIds, ids));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}

BENCHMARK_CAPTURE(read_ids, close, ids_text(","))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(read_ids, spaced, ids_text(", "))->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace kvasir

BENCHMARK_MAIN();
