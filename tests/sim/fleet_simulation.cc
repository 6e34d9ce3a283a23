#include "fleet_simulation.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <queue>
#include <unordered_map>

#include "base/assert.h"
#include "base/random.h"
#include "engine/engine.h"
#include "fleet/fleet.h"
#include "flow/flow_controller.h"
#include "flow/global_strict_fairness.h"
#include "flow/smallest_work_ordering.h"
#include "plugins/presets/roster.h"
#include "scheduling/scheduler.h"

namespace kvasir {
namespace {

struct Event {
  enum class Kind : uint8_t { kArrival, kStepEnd, kRun };

  TimePoint time{};
  uint64_t sequence = 0;
  Kind kind = Kind::kArrival;
  uint32_t index = 0;  // of the row, or of the worker; 0 for kRun

  friend bool operator>(const Event& a, const Event& b) {
    return a.time != b.time ? a.time > b.time : a.sequence > b.sequence;
  }
};

struct SimulatedWorker {
  SimulatedWorker(const EngineProfile& profile) : engine(profile, EngineOptions{}) {}

  Engine engine;
  std::unordered_map<uint64_t, uint32_t> rows;  // by SequenceId, of those in flight
};

std::vector<Endpoint> endpoints(uint32_t workers) {
  std::vector<Endpoint> result;
  for (uint32_t i = 0; i < workers; ++i) {
    result.push_back(Endpoint{"worker-" + std::to_string(i), "127.0.0.1", 0});
  }
  return result;
}

constexpr Duration kHeldMost = std::chrono::hours(24);

FlowSettings flow_settings(OrderingPolicy& ordering, FairnessPolicy& fairness) {
  FlowSettings settings;
  settings.config.default_request_ttl = kHeldMost;
  settings.config.default_band.ordering_policy = "ordering";
  settings.config.default_band.fairness_policy = "fairness";
  settings.plugins.ordering = {{"ordering", &ordering}};
  settings.plugins.fairness = {{"fairness", &fairness}};
  return settings;
}

class Simulation {
 public:
  Simulation(const SimulatedWorkload& workload, const std::vector<SimulatedPrompt>& prompts,
             const SimulationOptions& options, std::unique_ptr<Policy> policy)
      : workload_(workload),
        prompts_(prompts),
        options_(options),
        fleet_(endpoints(options.workers)),
        scheduler_(fleet_, std::move(policy), clock_),
        ordering_(scheduler_),
        flow_(clock_, flow_settings(ordering_, fairness_),
              [this] { return scheduler_.saturation(); }) {
    for (uint32_t i = 0; i < options.workers; ++i) {
      fleet_.set_healthy(EndpointId(i), true);
      fleet_.set_kv_capacity(EndpointId(i), options.profile.kv_tokens);
      workers_.push_back(std::make_unique<SimulatedWorker>(options.profile));
    }
    result_.requests.resize(workload.size());
  }

  Result<SimulationResult> run() {
    for (uint32_t row = 0; row < workload_.size(); ++row) {
      push(TimePoint(workload_[row].arrival), Event::Kind::kArrival, row);
    }
    while (!events_.empty()) {
      const Event event = events_.top();
      events_.pop();
      clock_.set(event.time);
      ++result_.events;
      note(static_cast<uint64_t>(event.time.time_since_epoch().count()));
      note(event.index * 3 + static_cast<uint32_t>(event.kind));
      switch (event.kind) {
        case Event::Kind::kArrival: arrive(event.index); break;
        case Event::Kind::kStepEnd: finish_step(event.index); break;
        case Event::Kind::kRun: planned_run_.reset(); break;
      }
      run_flow();
      if (error_) return *error_;
    }
    return std::move(result_);
  }

 private:
  static RequestId id_of(uint32_t row) { return row + 1; }

  void note(uint64_t value) { result_.event_hash = mix64(result_.event_hash ^ value); }

  void push(TimePoint time, Event::Kind kind, uint32_t index) {
    events_.push(Event{time, next_sequence_++, kind, index});
  }

  // A request at the gateway's door.
  struct Item final : FlowItem {
    Item(Simulation& whose, uint32_t of_row, std::unique_ptr<Request> made)
        : FlowItem(*made, 1), simulation(whose), row(of_row), owned(std::move(made)) {}
    Refusal dispatch() override {
      simulation.send(row, *owned);
      return Refusal::kNone;
    }
    void finished(FlowOutcome outcome) override {
      KVASIR_ASSERT(outcome == FlowOutcome::kDispatched, "nobody is given up");
    }

    Simulation& simulation;
    const uint32_t row;
    const std::unique_ptr<Request> owned;
  };

  void arrive(uint32_t row) {
    if (!options_.hold) return send(row, request_of(row));
    const auto item = std::make_shared<Item>(*this, row, std::make_unique<Request>(request_of(row)));
    const auto outcome = flow_.enqueue(item);
    KVASIR_ASSERT(!outcome || *outcome == FlowOutcome::kDispatched, "there is room for all");
  }

  void send(uint32_t row, const Request& request) {
    const WorkloadRow& wanted = workload_[row];
    const Scheduled scheduled = scheduler_.schedule(request, {});
    KVASIR_ASSERT(scheduled.ok(), "all workers are healthy");
    const uint32_t index = index_of(scheduled.decision.endpoint);
    SimulatedWorker& worker = *workers_[index];
    if (auto fits = worker.engine.check(wanted.input_tokens, wanted.output_tokens); !fits) {
      error_ = Error{"row " + std::to_string(row) + ": " + fits.error().message};
      return;
    }
    result_.requests[row].decision = scheduled.decision;
    result_.requests[row].held = clock_.now() - TimePoint(wanted.arrival);
    note(index);
    const SequenceId sequence = worker.engine.submit(sequence_of(row), clock_.now());
    worker.rows[static_cast<uint64_t>(sequence)] = row;
    if (!worker.engine.step_running()) start_step(index);
  }

  // After each event: what changed may have made room, and the workers do not wait for the gateway.
  void run_flow() {
    if (flow_.idle()) return;
    const std::optional<TimePoint> next = flow_.run();
    if (!next || (planned_run_ && *planned_run_ <= *next)) return;
    planned_run_ = *next;
    push(*next, Event::Kind::kRun, 0);
  }

  Request request_of(uint32_t row) const {
    Request request;
    request.id = id_of(row);
    request.prompt_tokens = workload_[row].input_tokens;
    if (!scheduler_.prompt_views().empty()) request.views = std::span(&prompts_[row].view, 1);
    request.first_token_visible = options_.first_tokens_visible;
    return request;
  }

  SequenceRequest sequence_of(uint32_t row) const {
    SequenceRequest sequence;
    sequence.prompt = prompts_[row].tokens;
    sequence.max_tokens = workload_[row].output_tokens;
    sequence.answer_seed = mix64(row);
    return sequence;
  }

  void start_step(uint32_t worker) {
    const auto duration = workers_[worker]->engine.start_step(clock_.now());
    if (duration) push(clock_.now() + *duration, Event::Kind::kStepEnd, worker);
  }

  void finish_step(uint32_t index) {
    SimulatedWorker& worker = *workers_[index];
    for (const TokenEvent& token : worker.engine.finish_step(clock_.now())) {
      take_token(worker, token);
    }
    start_step(index);
  }

  void take_token(SimulatedWorker& worker, const TokenEvent& token) {
    const auto at = worker.rows.find(static_cast<uint64_t>(token.sequence));
    KVASIR_ASSERT(at != worker.rows.end(), "tokens belong to requests in flight");
    const uint32_t row = at->second;
    SimulatedRequest& request = result_.requests[row];
    const Duration since_arrival = clock_.now() - TimePoint(workload_[row].arrival);
    note(uint64_t{row} << 32 | token.position);
    ++request.output_tokens;
    if (token.position == 0) {
      request.time_to_first_token = since_arrival;
      request.prompt_tokens = workload_[row].input_tokens;
      request.cached_tokens = token.cached_tokens;
      note(token.cached_tokens);
      if (options_.first_tokens_visible) scheduler_.first_token(id_of(row));
    }
    if (!token.finished) return;
    request.latency = since_arrival;
    scheduler_.ended(id_of(row));
    worker.rows.erase(at);
  }

  const SimulatedWorkload& workload_;
  const std::vector<SimulatedPrompt>& prompts_;
  const SimulationOptions& options_;
  ManualClock clock_;
  Fleet fleet_;
  Scheduler scheduler_;
  SmallestWorkOrdering ordering_;
  GlobalStrictFairness fairness_;
  FlowController flow_;
  std::optional<TimePoint> planned_run_;
  std::optional<Error> error_;
  std::vector<std::unique_ptr<SimulatedWorker>> workers_;
  std::priority_queue<Event, std::vector<Event>, std::greater<Event>> events_;
  uint64_t next_sequence_ = 0;
  SimulationResult result_;
};

template <class Value>
double sum(const SimulationResult& result, Value&& value) {
  double total = 0;
  for (const SimulatedRequest& request : result.requests) total += value(request);
  return total;
}

}  // namespace

double mean_ttft_seconds(const SimulationResult& result) {
  return sum(result, [](const SimulatedRequest& r) { return to_seconds(r.time_to_first_token); }) /
         static_cast<double>(result.requests.size());
}

double ttft_percentile_seconds(const SimulationResult& result, double share) {
  std::vector<Duration> times;
  for (const SimulatedRequest& r : result.requests) times.push_back(r.time_to_first_token);
  std::sort(times.begin(), times.end());
  const double rank = std::ceil(share * static_cast<double>(times.size()));
  return to_seconds(times[static_cast<size_t>(std::max(1.0, rank)) - 1]);
}

double hit_ratio(const SimulationResult& result) {
  return sum(result, [](const SimulatedRequest& r) { return r.cached_tokens; }) /
         sum(result, [](const SimulatedRequest& r) { return r.prompt_tokens; });
}

double inter_token_ms(const SimulationResult& result) {
  const auto decode_ms = [](const SimulatedRequest& r) {
    return to_milliseconds(r.latency - r.time_to_first_token);
  };
  return sum(result, decode_ms) /
         sum(result, [](const SimulatedRequest& r) { return r.output_tokens - 1.0; });
}

Result<SimulationResult> simulate_fleet(const SimulatedWorkload& workload,
                                        const std::vector<SimulatedPrompt>& prompts,
                                        const SimulationOptions& options) {
  KVASIR_ASSERT(workload.size() == prompts.size(), "each row has its prompt");
  PolicyOptions policy_options;
  policy_options.endpoints = options.workers;
  policy_options.profile = options.predicted_profile.value_or(options.profile);
  policy_options.seed = options.policy_seed;
  policy_options.hold_threshold = options.hold_threshold;
  auto policy = make_policy(options.policy, policy_options);
  if (!policy) return policy.error();
  return Simulation(workload, prompts, options, std::move(policy).value()).run();
}

}  // namespace kvasir
