// What a look into a request costs by the size of its prompt, and what replacing the model costs
// beside it.
#include <benchmark/benchmark.h>

#include <string>

#include "wire/model_splice.h"
#include "wire/request_peek.h"

namespace kvasir {
namespace {

std::string completion(size_t prompt_bytes) {
  std::string body =
      R"({"model":"meta/llama","stream":true,"max_tokens":128,"temperature":0.7,"prompt":")";
  while (body.size() < prompt_bytes)
    body += "words of a prompt that go on and on, \\\"quoted\\\" or not. ";
  return body + "\",\"seed\":9007199254740993}";
}

std::string token_ids(size_t body_bytes) {
  std::string body = R"({"model":"meta/llama","token_ids":[1)";
  for (size_t i = 0; body.size() < body_bytes; ++i) body += "," + std::to_string(i * 7919 % 128000);
  return body + "]}";
}

void look(benchmark::State& state, std::string body, RequestApi api) {
  const size_t size = body.size();
  body.append(64, '\0');
  RequestPeeker peeker;
  for (auto _ : state) {
    benchmark::DoNotOptimize(peeker.peek(std::string_view(body).substr(0, size), api));
  }
  state.SetBytesProcessed(static_cast<int64_t>(size) * state.iterations());
}

void peek_completion(benchmark::State& state) {
  look(state, completion(static_cast<size_t>(state.range(0))), RequestApi::kUnknown);
}
BENCHMARK(peek_completion)->Arg(1000)->Arg(10'000)->Arg(400'000);

void peek_token_ids(benchmark::State& state) {
  look(state, token_ids(static_cast<size_t>(state.range(0))), RequestApi::kVllmGenerate);
}
BENCHMARK(peek_token_ids)->Arg(1000)->Arg(400'000);

void splice(benchmark::State& state) {
  const std::string body = completion(400'000);
  const std::string_view model = std::string_view(body).substr(9, 12);
  for (auto _ : state) benchmark::DoNotOptimize(splice_model(body, model, "other/model"));
}
BENCHMARK(splice);

}  // namespace
}  // namespace kvasir

BENCHMARK_MAIN();
