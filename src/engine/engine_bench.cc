// What the simulated engines cost: a step of decoding rows (bytes: whose blocks have some), a
// submission, and 300 s of a fleet of 8 under a load like the Mooncake conversation trace (8.6
// requests/s, 10k tokens in, 183 out, a third of them hits).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "base/random.h"
#include "engine/engine.h"
#include "engine/kv_memory.h"

namespace kvasir {
namespace {

const EngineProfile& profile() {
  static const EngineProfile loaded =
      load_engine_profile(std::string(kDefaultEngineProfile)).value();
  return loaded;
}

// One for all runs: to map its pages is no part of a step.
const std::shared_ptr<KvMemory>& memory() {
  static const auto blocks = std::make_shared<KvMemory>(
      KvMemory::create(static_cast<uint32_t>(profile().kv_blocks()), KvLayout::of(profile()))
          .value());
  return blocks;
}

SequenceRequest request_of(size_t tokens, TokenId first, uint32_t max_tokens) {
  SequenceRequest request;
  request.prompt.resize(tokens);
  std::iota(request.prompt.begin(), request.prompt.end(), first);
  request.max_tokens = max_tokens;
  request.answer_seed = first;
  return request;
}

void step(Engine& engine, TimePoint& now) {
  now += *engine.start_step(now);
  benchmark::DoNotOptimize(engine.finish_step(now).data());
}

void decode_step(benchmark::State& state) {
  constexpr int kSteps = 500;
  const auto rows = static_cast<TokenId>(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    EngineOptions options;
    if (state.range(1) != 0) options.memory = memory();
    Engine engine(profile(), options);
    TimePoint now{};
    for (TokenId row = 0; row < rows; ++row) engine.submit(request_of(400, row * 1000, 4000), now);
    while (engine.stats().generation_tokens < rows * 4) step(engine, now);
    state.ResumeTiming();
    for (int i = 0; i < kSteps; ++i) step(engine, now);
  }
  state.counters["step"] = benchmark::Counter(
      kSteps, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK(decode_step)
    ->ArgNames({"rows", "bytes"})
    ->ArgsProduct({{1, 64, 200, 400}, {0, 1}})
    ->Unit(benchmark::kMillisecond);

void submit_and_cancel(benchmark::State& state) {
  Engine engine(profile(), {});
  const SequenceRequest request = request_of(static_cast<size_t>(state.range(0)), 0, 100);
  for (auto _ : state) engine.cancel(engine.submit(request, TimePoint{}));
}
BENCHMARK(submit_and_cancel)->Arg(1000)->Arg(10000)->Arg(100000)->Unit(benchmark::kMicrosecond);

struct Arrival {
  TimePoint at{};
  SequenceRequest request;
};

std::vector<Arrival> arrivals() {
  constexpr int kRequests = 2580;
  Random random(1);
  std::vector<Arrival> made;
  for (int i = 0; i < kRequests; ++i) {
    Arrival arrival;
    arrival.at = TimePoint(from_seconds(300 * random.uniform()));
    const double size = random.uniform();
    const size_t tokens = 500 + static_cast<size_t>(38000 * size * size * size);
    arrival.request = request_of(tokens, 1'000'000 * static_cast<TokenId>(random.below(3)), 1);
    if (random.below(3) > 0) arrival.request.prompt[random.below(500)] = static_cast<TokenId>(i);
    arrival.request.max_tokens = 1 + static_cast<uint32_t>(random.below(366));
    made.push_back(std::move(arrival));
  }
  std::sort(made.begin(), made.end(),
            [](const Arrival& left, const Arrival& right) { return left.at < right.at; });
  return made;
}

// Every eighth arrival, until all are answered.
EngineStats simulate(const std::vector<Arrival>& load, size_t first) {
  Engine engine(profile(), {});
  TimePoint now{};
  size_t next = first;
  for (;;) {
    for (; next < load.size() && load[next].at <= now; next += 8) {
      engine.submit(load[next].request, load[next].at);
    }
    if (const auto duration = engine.start_step(now)) {
      now += *duration;
      benchmark::DoNotOptimize(engine.finish_step(now).data());
    } else if (next < load.size()) {
      now = load[next].at;
    } else {
      return engine.stats();
    }
  }
}

void fleet_of_8_for_300_s(benchmark::State& state) {
  const std::vector<Arrival> load = arrivals();
  uint64_t steps = 0, tokens = 0, hits = 0, queries = 0, preemptions = 0;
  for (auto _ : state) {
    for (size_t engine = 0; engine < 8; ++engine) {
      const EngineStats stats = simulate(load, engine);
      steps += stats.steps;
      tokens += stats.generation_tokens;
      hits += stats.prefix_cache_hits;
      queries += stats.prefix_cache_queries;
      preemptions += stats.num_preemptions;
    }
  }
  const auto per_run = [](uint64_t total) {
    return benchmark::Counter(static_cast<double>(total), benchmark::Counter::kAvgIterations);
  };
  state.counters["steps"] = per_run(steps);
  state.counters["tokens"] = per_run(tokens);
  state.counters["preemptions"] = per_run(preemptions);
  state.counters["hit_ratio"] = static_cast<double>(hits) / static_cast<double>(queries);
}
BENCHMARK(fleet_of_8_for_300_s)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvasir

BENCHMARK_MAIN();
