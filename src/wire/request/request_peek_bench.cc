// What a look into a request costs by the size of its prompt, and what replacing the model costs
// beside it.
#include <benchmark/benchmark.h>

#include <string>

#include "wire/request/model_splice.h"
#include "wire/request/prompt_text.h"
#include "wire/request/request_peek.h"

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

std::string chat(size_t body_bytes, std::string_view words) {
  std::string body = R"({"model":"meta/llama","messages":[{"role":"system","content":")";
  while (body.size() < body_bytes) body += words;
  return body +
         R"("},{"role":"user","content":[{"type":"text","text":"and now?"}]}],"stream":true})";
}
constexpr std::string_view kPlainWords =
    "words of a prompt that go on and on, without an end in sight. ";
constexpr std::string_view kLines = "words of a prompt that go on and on,\\nline by line, and on. ";

std::string spaced_ids(size_t body_bytes) {
  std::string body = R"({"model":"meta/llama","token_ids": [1)";
  for (size_t i = 0; body.size() < body_bytes; ++i)
    body += ", " + std::to_string(i * 7919 % 128000);
  return body + "]}";
}

class ByteCounter final : public PromptSink {
 public:
  void take(std::string_view piece) override { bytes += piece.size(); }
  size_t bytes = 0;
};

// What the engine sees of it, without hashing it.
void write(benchmark::State& state, const std::string& body, RequestApi api) {
  const std::optional<RequestPeek> peek = peek_request(body, api);
  for (auto _ : state) {
    ByteCounter counter;
    write_prompt(*peek, counter);
    benchmark::DoNotOptimize(counter.bytes);
  }
  state.SetBytesProcessed(static_cast<int64_t>(body.size()) * state.iterations());
}
BENCHMARK_CAPTURE(write, plain_chat, chat(400'000, kPlainWords), RequestApi::kChatCompletions);
BENCHMARK_CAPTURE(write, lines_of_chat, chat(400'000, kLines), RequestApi::kChatCompletions);
BENCHMARK_CAPTURE(write, short_chat, chat(500, kPlainWords), RequestApi::kChatCompletions);
BENCHMARK_CAPTURE(write, completion, completion(400'000), RequestApi::kCompletions);
BENCHMARK_CAPTURE(write, token_ids, token_ids(400'000), RequestApi::kVllmGenerate);
BENCHMARK_CAPTURE(write, spaced_token_ids, spaced_ids(400'000), RequestApi::kVllmGenerate);

void look(benchmark::State& state, const std::string& body, RequestApi api) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(peek_request(body, api));
  }
  state.SetBytesProcessed(static_cast<int64_t>(body.size()) * state.iterations());
}

void peek_completion(benchmark::State& state) {
  look(state, completion(static_cast<size_t>(state.range(0))), RequestApi::kUnknown);
}
BENCHMARK(peek_completion)->Arg(1000)->Arg(10'000)->Arg(400'000);

void peek_chat(benchmark::State& state) {
  look(state, chat(static_cast<size_t>(state.range(0)), kPlainWords), RequestApi::kChatCompletions);
}
BENCHMARK(peek_chat)->Arg(1000)->Arg(400'000);

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
