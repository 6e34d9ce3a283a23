// What sharing costs a replica with 1,000 endpoints and 8,000 requests in flight: one message told,
// heard and taken in, or only the latter, each with a change; `bytes` is its size. Sessions: 2,000
// new ones in the message.
#include <benchmark/benchmark.h>

#include "config/policy_fixture.h"
#include "fleet/fleet.h"
#include "plugins/plugin_roster.h"
#include "replicas/replica_probe.h"
#include "replicas/replica_sync.h"
#include "scheduling/policy.h"
#include "scheduling/scheduler.h"

namespace kvasir {
namespace {

constexpr uint32_t kEndpoints = 1000;
constexpr RequestId kRequests = 8000;
constexpr int kSessions = 2000;
constexpr const char* kConfig = R"(
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: session-affinity-filter
  parameters: {strategy: session_id}
- type: inflight-load-producer
- type: active-request-scorer
)";

struct Replica : ReplicaProbe {
  Replica(uint64_t id, const Clock& clock) : fleet(endpoints()) {
    for (uint32_t i = 0; i < kEndpoints; ++i) fleet.set_healthy(EndpointId(i), true);
    PluginOptions options;
    options.endpoints = kEndpoints;
    options.allow_alpha = true;
    scheduler = std::make_unique<Scheduler>(
        fleet, std::move(policy_from_config(kConfig, "bench", options).value().policy), clock);
    sync = std::make_unique<ReplicaSync>(id, fleet, *scheduler, clock, *this);
  }
  static std::vector<Endpoint> endpoints() {
    std::vector<Endpoint> all;
    for (uint32_t i = 0; i < kEndpoints; ++i) {
      const std::string host = "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250);
      all.push_back({host + ":8000", host, 8000, {}});
    }
    return all;
  }
  void pick(const std::string& session = "") {
    Request request;
    request.id = ++requests;
    request.prompt_tokens = 100;
    const RequestHeader header{"x-session-id", session};
    if (!session.empty()) request.headers = {&header, 1};
    scheduler->schedule(request, {});
  }
  void bind_sessions() {
    for (int i = 0; i < kSessions; ++i) {
      pick("session-" + std::to_string(++sessions));
      scheduler->ended(requests);
    }
  }

  Fleet fleet;
  std::unique_ptr<Scheduler> scheduler;
  std::unique_ptr<ReplicaSync> sync;
  RequestId requests = 0;
  uint64_t sessions = 0;
};

// range(0): whether sessions come with it; `both`: telling is measured, too.
void exchange(benchmark::State& state, bool both) {
  ManualClock clock;
  clock.advance(std::chrono::hours(1));
  Replica speaker(1, clock);
  Replica listener(2, clock);
  for (RequestId i = 0; i < kRequests; ++i) speaker.pick();
  size_t bytes = 0;
  for (auto _ : state) {
    state.PauseTiming();
    clock.advance(std::chrono::seconds(1));
    speaker.pick();
    if (state.range(0) != 0) speaker.bind_sessions();
    if (both) state.ResumeTiming();
    const std::string message = speaker.sync->tick().value();
    if (!both) state.ResumeTiming();
    listener.sync->hear(read_replica_message(message).value());
    listener.sync->tick();
    bytes = message.size();
  }
  state.counters["bytes"] = static_cast<double>(bytes);
}

void told_and_heard(benchmark::State& state) {
  exchange(state, true);
}
void heard(benchmark::State& state) {
  exchange(state, false);
}
BENCHMARK(told_and_heard)->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond);
BENCHMARK(heard)->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace kvasir

BENCHMARK_MAIN();
