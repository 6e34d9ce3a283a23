// What reporting costs a pick: metrics, and a line of the decision log, on a fleet of so many
// endpoints, half of which a filter leaves to two scorers. `allocations` counts operator new per
// iteration.
#include <benchmark/benchmark.h>
#include <fcntl.h>


#include "apps/decision_log.h"
#include "apps/epp_fixture.h"
#include "apps/epp_metrics.h"
#include "base/allocation_count_fixture.h"

namespace kvasir {
namespace {

void count_allocations(benchmark::State& state, uint64_t before) {
  state.counters["allocations"] = benchmark::Counter(
      static_cast<double>(allocations.load() - before), benchmark::Counter::kAvgIterations);
}

// The steady state: the labels are known.
void BM_MetricsOfAPick(benchmark::State& state) {
  static const SteadyClock clock;
  static EppMetrics metrics({}, clock);
  const EppFixture fixture(static_cast<uint32_t>(state.range(0)));
  const std::string tenant = "tenant-" + std::to_string(state.thread_index());
  PickReport report = fixture.pick();
  report.labels.model = report.labels.target_model = "meta-llama/Llama-3.3-70B-Instruct";
  report.labels.fairness_id = tenant;
  metrics.on_picked(report);
  const uint64_t before = allocations;
  for (auto _ : state) metrics.on_picked(report);
  count_allocations(state, before);
}
BENCHMARK(BM_MetricsOfAPick)->Arg(8)->Arg(128);
BENCHMARK(BM_MetricsOfAPick)->Arg(8)->Threads(2)->UseRealTime();

void BM_MetricsOfAnEnd(benchmark::State& state) {
  const SteadyClock clock;
  EppMetrics metrics({}, clock);
  const EppFixture fixture(8);
  metrics.on_picked(fixture.pick());
  const EndReport report = fixture.end();
  metrics.on_ended(report);
  const uint64_t before = allocations;
  for (auto _ : state) metrics.on_ended(report);
  count_allocations(state, before);
}
BENCHMARK(BM_MetricsOfAnEnd);

void BM_DecisionLogOfAPick(benchmark::State& state) {
  const auto format = state.range(1) == 0 ? LogFormat::kText : LogFormat::kJson;
  DecisionLog log(format, "epp",
                  std::make_unique<LineWriter>(open("/dev/null", O_WRONLY), true, "null"));
  const EppFixture fixture(static_cast<uint32_t>(state.range(0)));
  const PickReport report = fixture.pick();
  const uint64_t before = allocations;
  for (auto _ : state) log.picked(report);
  count_allocations(state, before);
  state.counters["dropped"] = static_cast<double>(log.dropped());
}
BENCHMARK(BM_DecisionLogOfAPick)->ArgsProduct({{8, 128, 1024}, {0, 1}});

void BM_Page(benchmark::State& state) {
  const SteadyClock clock;
  EppMetrics metrics({}, clock);
  const EppFixture fixture(128);
  for (int64_t i = 0; i < state.range(0); ++i) {
    const std::string tenant = "tenant-" + std::to_string(i);
    PickReport report = fixture.pick();
    report.labels.fairness_id = tenant;
    metrics.on_picked(report);
    EndReport end = fixture.end();
    end.labels = report.labels;
    metrics.on_ended(end);
  }
  size_t bytes = 0;
  for (auto _ : state) bytes = metrics.page(fixture.fleet).size();
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(BM_Page)->Arg(1)->Arg(1000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace kvasir

BENCHMARK_MAIN();
