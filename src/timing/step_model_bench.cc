// What a policy asks for each request: the prefill time on each of 100 endpoints.
#include <benchmark/benchmark.h>

#include "timing/step_model.h"

namespace kvasir {
namespace {

void prefill_on_100_endpoints(benchmark::State& state) {
  const auto profile = load_engine_profile(std::string(kDefaultEngineProfile));
  const StepModel model(profile->step);
  const auto prompt = static_cast<uint64_t>(state.range(0));
  for (auto _ : state) {
    double sum = 0;
    for (uint32_t endpoint = 0; endpoint < 100; ++endpoint) {
      sum += model.prefill_seconds(prompt, endpoint * 8, 8192, {endpoint, endpoint * 10000});
    }
    benchmark::DoNotOptimize(sum);
  }
}
BENCHMARK(prefill_on_100_endpoints)->Arg(1000)->Arg(10000)->Arg(130000);

}  // namespace
}  // namespace kvasir

BENCHMARK_MAIN();
