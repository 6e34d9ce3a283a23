// 400 kB of text each: all words, words and prose mixed, random bytes.
#include <benchmark/benchmark.h>

#include "base/random.h"
#include "tokens/vocabulary.h"

namespace kvasir {
namespace {

constexpr size_t kTextBytes = 400'000;

std::string words_text() {
  Random random(1);
  std::string text;
  while (text.size() < kTextBytes) text += spaced_word(static_cast<uint32_t>(random.below(kWords)));
  return text;
}

std::string prose_text() {
  std::string text;
  while (text.size() < kTextBytes) text += "The boat is late, and nobody can tell the men why. ";
  return text;
}

std::string random_bytes() {
  Random random(2);
  std::string text;
  while (text.size() < kTextBytes) text += static_cast<char>(random.below(256));
  return text;
}

void encode_text(benchmark::State& state, const std::string& text) {
  for (auto _ : state) benchmark::DoNotOptimize(encode(text));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}

BENCHMARK_CAPTURE(encode_text, words, words_text())->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(encode_text, prose, prose_text())->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(encode_text, bytes, random_bytes())->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace kvasir

BENCHMARK_MAIN();
