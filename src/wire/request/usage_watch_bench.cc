// What watching an answer costs: a chunk of a stream, and a long text. The contender looks for one
// key and nothing else.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>

#include "wire/request/usage_watch.h"

namespace kvasir {
namespace {

const std::string kChunk =
    "data: "
    "{\"id\":\"chatcmpl-0f3c8a71b2f94d0c\",\"object\":\"chat.completion.chunk\",\"created\":"
    "1764200000,"
    "\"model\":\"meta-llama/"
    "Llama-3.1-8B-Instruct\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},"
    "\"logprobs\":null,\"finish_reason\":null,\"token_ids\":null}]}\n\n";

std::string long_answer() {
  std::string text = "{\"choices\":[{\"text\":\"";
  while (text.size() < 64 * 1024) text += "some words that say \\\"very\\\" little ";
  return text + "\"}],\"usage\":{\"prompt_tokens\":5,\"total_tokens\":7,\"completion_tokens\":2}}";
}

void watch(benchmark::State& state, const std::string& bytes) {
  UsageWatch watch;
  for (auto _ : state) {
    watch.look(bytes);
    benchmark::DoNotOptimize(watch);
  }
  state.SetBytesProcessed(static_cast<int64_t>(bytes.size()) * state.iterations());
}

void find_one_key(benchmark::State& state, const std::string& bytes) {
  constexpr std::string_view kKey = "\"prompt_tokens\":";
  for (auto _ : state) {
    benchmark::DoNotOptimize(memmem(bytes.data(), bytes.size(), kKey.data(), kKey.size()));
  }
  state.SetBytesProcessed(static_cast<int64_t>(bytes.size()) * state.iterations());
}

BENCHMARK_CAPTURE(watch, chunk, kChunk);
BENCHMARK_CAPTURE(find_one_key, chunk, kChunk);
BENCHMARK_CAPTURE(watch, long_answer, long_answer());
BENCHMARK_CAPTURE(find_one_key, long_answer, long_answer());

}  // namespace
}  // namespace kvasir

BENCHMARK_MAIN();
