// The cost of schedule(), first_token() and ended() on a busy fleet: each endpoint has pending and
// decoding requests, and the prompt's first half was sent to one in eight. `allocations` counts
// operator new per iteration, `cached` the part of the prompt that the chosen endpoint had. The
// policies get a 100k-token prompt (200 blocks of 512); the plugins (prefix 3, queue 2,
// kv-cache-utilization 2, active-request 1) one of 8,000 tokens (125 blocks of 64) whose second
// half is new each time.
#include <benchmark/benchmark.h>


#include "base/allocation_count_fixture.h"
#include "base/random.h"
#include "config/preset_fixture.h"
#include "fleet/fleet.h"
#include "plugins/plugin_roster.h"
#include "scheduling/plugin_set.h"
#include "scheduling/scheduler.h"

namespace kvasir {
namespace {

constexpr uint32_t kPromptTokens = 100'000;
constexpr size_t kBlocks = kPromptTokens / 512 + 1;

EngineProfile profile() {
  return load_engine_profile(std::string(kDefaultEngineProfile)).value();
}

std::vector<BlockHash> chain_of(uint64_t prompt, size_t blocks) {
  std::vector<BlockHash> chain;
  for (uint64_t i = 0; i < blocks; ++i) chain.push_back(mix64(prompt * kBlocks + i));
  return chain;
}

// The chain in every size that the policies and plugins below read. Valid until the next call.
Request request_of(RequestId id, uint32_t tokens, const std::vector<BlockHash>& blocks) {
  static PromptView views[2];
  views[0] = {{PromptUnit::kBytes, 2048}, blocks};
  views[1] = {{PromptUnit::kBytes, 256}, blocks};
  Request request;
  request.id = id;
  request.prompt_tokens = tokens;
  request.views = views;
  request.first_token_visible = true;
  return request;
}

void make_busy(Scheduler& scheduler, size_t endpoints) {
  Random random(1);
  const auto wanted = chain_of(0, kBlocks / 2);
  for (RequestId id = 1; id <= endpoints * 12; ++id) {
    const uint32_t tokens = 1000 + static_cast<uint32_t>(random.below(20'000));
    const auto blocks = id <= endpoints / 8 ? wanted : chain_of(id, tokens / 512);
    scheduler.schedule(request_of(id, tokens, blocks), {});
    if (id % 4 != 0) scheduler.first_token(id);
  }
}

void schedule(benchmark::State& state, std::string_view policy) {
  const size_t endpoints = state.range(0);
  Fleet fleet{std::vector<Endpoint>(endpoints)};
  for (uint32_t i = 0; i < endpoints; ++i) fleet.set_healthy(EndpointId(i), true);
  ManualClock clock;
  Scheduler scheduler(fleet, preset_policy(policy, endpoints, profile(), 1), clock);
  make_busy(scheduler, endpoints);

  const auto blocks = chain_of(0, kBlocks);
  RequestId id = 1'000'000;
  uint64_t before = 0;
  for (auto _ : state) {
    if (before == 0) before = allocations;
    scheduler.schedule(request_of(++id, kPromptTokens, blocks), {});
    scheduler.first_token(id);
    scheduler.ended(id);
  }
  state.counters["allocations"] = benchmark::Counter(static_cast<double>(allocations - before),
                                                     benchmark::Counter::kAvgIterations);
}
std::unique_ptr<Policy> plugin_policy(size_t endpoints) {
  Registry registry;
  register_plugins(registry);
  SchedulingConfig config{{{"", "prefix-cache-scorer"},
                           {"", "queue-scorer"},
                           {"", "kv-cache-utilization-scorer"},
                           {"", "active-request-scorer"}},
                          {{"default",
                            {{"prefix-cache-scorer", 3},
                             {"queue-scorer", 2},
                             {"kv-cache-utilization-scorer", 2},
                             {"active-request-scorer", 1}}}}};
  PluginOptions options;
  options.endpoints = endpoints;
  return std::move(make_configured_policy(registry, config, options).value().policy);
}

void set_metrics(Fleet& fleet) {
  Random random(2);
  std::vector<std::pair<EndpointId, EngineMetrics>> round;
  for (uint32_t i = 0; i < fleet.size(); ++i) {
    EngineMetrics metrics;
    metrics.waiting = static_cast<double>(random.below(10));
    metrics.kv_usage = random.uniform();
    round.emplace_back(EndpointId(i), metrics);
  }
  fleet.set_metrics(std::move(round));
}

void schedule_plugins(benchmark::State& state) {
  constexpr uint32_t kTokens = 8000;
  const size_t endpoints = state.range(0);
  Fleet fleet{std::vector<Endpoint>(endpoints)};
  for (uint32_t i = 0; i < endpoints; ++i) fleet.set_healthy(EndpointId(i), true);
  set_metrics(fleet);
  ManualClock clock;
  Scheduler scheduler(fleet, plugin_policy(endpoints), clock);
  make_busy(scheduler, endpoints);

  // Every prompt has a second half that was never seen. The warm-up fills the sets of blocks, so
  // that each new block then takes the place of an old one.
  constexpr size_t kPromptBlocks = kTokens / 64;
  constexpr size_t kSharedBlocks = kPromptBlocks / 2;
  constexpr size_t kWarmUp = 4096;
  std::vector<BlockHash> prompt = chain_of(0, kPromptBlocks);
  RequestId id = 1'000'000;
  uint64_t cached_tokens = 0;
  const auto once = [&] {
    ++id;
    for (uint64_t i = kSharedBlocks; i < kPromptBlocks; ++i) {
      prompt[i] = (id * kPromptBlocks + i) * 0xbf58476d1ce4e5b9ULL;
    }
    cached_tokens += scheduler.schedule(request_of(id, kTokens, prompt), {}).decision.cached_tokens;
    scheduler.first_token(id);
    scheduler.ended(id);
  };
  for (size_t i = 0; i < kWarmUp; ++i) once();
  cached_tokens = 0;
  uint64_t before = 0;
  for (auto _ : state) {
    if (before == 0) before = allocations;
    once();
  }
  state.counters["allocations"] = benchmark::Counter(static_cast<double>(allocations - before),
                                                     benchmark::Counter::kAvgIterations);
  state.counters["cached"] = benchmark::Counter(static_cast<double>(cached_tokens) / kTokens,
                                                benchmark::Counter::kAvgIterations);
}
BENCHMARK(schedule_plugins)->Arg(8)->Arg(100)->Arg(1000);

BENCHMARK_CAPTURE(schedule, kv, "kv")->Arg(8)->Arg(100)->Arg(1000);
BENCHMARK_CAPTURE(schedule, load_cost, "load-cost")->Arg(8)->Arg(100)->Arg(1000);
BENCHMARK_CAPTURE(schedule, least_load, "least-load")->Arg(8)->Arg(1000);
BENCHMARK_CAPTURE(schedule, round_robin, "round-robin")->Arg(8)->Arg(1000);

}  // namespace
}  // namespace kvasir

BENCHMARK_MAIN();
