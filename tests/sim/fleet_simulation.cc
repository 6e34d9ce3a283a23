#include "fleet_simulation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <unordered_map>

#include "base/assert.h"
#include "base/random.h"
#include "base/virtual_executor_fixture.h"
#include "config/compile.h"
#include "engine/engine.h"
#include "event_knowledge.h"
#include "exact_prefix_cache.h"
#include "hashing/token_blocks.h"
#include "plugins/plugin_roster.h"
#include "serving/journey.h"
#include "serving/pool_thread.h"

namespace kvasir {
namespace {

class SilentProbe final : public PoolProbe {
 public:
  void on_health_changed(const Endpoint&, bool) override {}
};

// What a picker reads from an API that takes token ids.
RequestPeek peek_of(const std::vector<TokenId>& prompt, bool stream) {
  RequestPeek peek;
  peek.model = "simulated";
  peek.stream = stream;
  peek.kind = PromptKind::kRawIds;
  peek.prompt = {reinterpret_cast<const char*>(prompt.data()), prompt.size() * sizeof(TokenId)};
  peek.prompt_ids = static_cast<uint32_t>(prompt.size());
  return peek;
}

class Simulation;
struct Gateway;

// A request between its arrival and its end.
struct Flight final : Journey::Owner {
  Flight(Simulation& of, Gateway& through, uint32_t of_row, std::vector<TokenId> of_prompt);

  void on_decided() override;
  void on_refused(const JourneyRefusal& refusal) override;
  void on_evicted(const JourneyRefusal& refusal) override;

  Simulation& simulation;
  Gateway& gateway;
  const uint32_t row;
  const std::shared_ptr<const std::vector<TokenId>> prompt;
  std::vector<BlockHash> chain;  // as an engine hashes the prompt; made when somebody asks
  Journey journey;
};

// One of those that share the engines.
struct Gateway {
  std::unique_ptr<Pool> pool;
  std::unique_ptr<PoolThread> thread;
  Flight* arriving = nullptr;  // the latest; its id is given while it starts
  std::unordered_map<RequestId, Flight*> flights_by_id;
};

Flight::Flight(Simulation& of, Gateway& through, uint32_t of_row, std::vector<TokenId> of_prompt)
    : simulation(of),
      gateway(through),
      row(of_row),
      prompt(std::make_shared<const std::vector<TokenId>>(std::move(of_prompt))),
      journey(*through.thread, *this) {}

struct SimulatedWorker {
  SimulatedWorker(const EngineProfile& profile, KvEventSink* events)
      : engine(profile, EngineOptions{}, events) {}

  struct Running {
    Flight* flight = nullptr;
    bool prefills = false;  // for another one, which decodes
  };

  Engine engine;
  std::unordered_map<uint64_t, Running> flights;  // by SequenceId
};

PoolOptions pool_options(const SimulationOptions& options) {
  PoolOptions pool;
  for (uint32_t i = 0; i < options.workers; ++i) {
    Endpoint endpoint{"worker-" + std::to_string(i), "127.0.0.1", 0, {}};
    if (!options.roles.empty()) endpoint.labels["llm-d.ai/role"] = options.roles[i];
    pool.feeds.endpoints.push_back(std::move(endpoint));
  }
  pool.plugins.profile = options.predicted_profile.value_or(options.profile);
  pool.plugins.seed = options.policy_seed;
  pool.plugins.allow_alpha = true;
  pool.plugins.hold_threshold = options.hold_threshold;
  pool.plugins.endpoints = options.workers;
  return pool;
}

class Simulation {
 public:
  static Result<SimulationResult> run(const SimulatedWorkload& workload,
                                      const SimulationOptions& options) {
    Simulation simulation(workload, options);
    for (uint32_t i = 0; i < options.gateways; ++i) {
      if (Result<void> made = simulation.add_gateway(i); !made) return made.error();
    }
    simulation.serve();
    return std::move(simulation.result_);
  }

  void decided(Flight& flight) {
    const WorkloadRow& wanted = workload_[flight.row];
    SimulatedRequest& request = result_.requests[flight.row];
    request.decision = flight.journey.decision();
    request.held = flight.journey.held();
    const uint32_t index = index_of(request.decision.endpoint);
    SimulatedWorker& worker = *workers_[index];
    request.refused = !worker.engine.check(wanted.input_tokens, wanted.output_tokens);
    if (request.refused) return end(flight);
    request.apart = request.decision.prefill.has_value();
    if (!request.apart) return submit(index, flight, wanted.output_tokens, 0);
    flight.journey.begin_prefill();
    submit(index_of(*request.decision.prefill), flight, 1, 0, true);
  }
  void refused(Flight& flight) {
    result_.requests[flight.row].held = flight.journey.held();
    result_.requests[flight.row].refused = true;
    end(flight);
  }

 private:
  void submit(uint32_t index, Flight& flight, uint32_t tokens, uint32_t remote_blocks,
              bool prefills = false) {
    SequenceRequest sequence;
    sequence.prompt = *flight.prompt;
    sequence.max_tokens = tokens;
    sequence.answer_seed = mix64(flight.row);
    sequence.remote_blocks = remote_blocks;
    SimulatedWorker& worker = *workers_[index];
    const SequenceId id = worker.engine.submit(std::move(sequence), executor_.now());
    worker.flights[static_cast<uint64_t>(id)] = {&flight, prefills};
    start_step(index);
  }

  // Its blocks are on their way, and then there at once.
  void hand_over(Flight& flight) {
    flight.journey.end_prefill(0);
    flight.journey.prefilled(0, executor_.now() - (TimePoint{} + workload_[flight.row].arrival));
    const uint32_t blocks =
        static_cast<uint32_t>(flight.prompt->size()) / options_.profile.block_size;
    const double bytes = static_cast<double>(options_.profile.kv_bytes_per_token) * blocks *
                         options_.profile.block_size;
    const Duration way = options_.hop + from_seconds(bytes / (options_.link_gb_per_s * 1e9));
    executor_.after(way, [this, &flight, blocks] {
      const EndpointId decode = result_.requests[flight.row].decision.endpoint;
      submit(index_of(decode), flight, workload_[flight.row].output_tokens, blocks);
    });
  }

  Simulation(const SimulatedWorkload& workload, const SimulationOptions& options)
      : workload_(workload), options_(options) {
    if (options.kv_event_lag) {
      events_.emplace(executor_, options.workers, options.gateways, *options.kv_event_lag);
    }
    for (uint32_t i = 0; i < options.workers; ++i) {
      workers_.push_back(std::make_unique<SimulatedWorker>(options.profile,
                                                           events_ ? &events_->sink(i) : nullptr));
    }
    result_.requests.resize(workload.size());
  }

  Result<void> add_gateway(uint32_t number) {
    auto gateway = std::make_unique<Gateway>();
    Result<std::unique_ptr<Pool>> pool = make_pool(*gateway, number);
    if (!pool) return pool.error();
    gateway->pool = std::move(*pool);
    Fleet& fleet = gateway->pool->fleet();
    fleet.replace_all(gateway->pool->options().feeds.endpoints);
    for (uint32_t i = 0; i < options_.workers; ++i) {
      fleet.set_healthy(EndpointId(i), true);
      fleet.set_kv_capacity(EndpointId(i), options_.profile.kv_tokens);
    }
    gateway->thread =
        std::make_unique<PoolThread>(*gateway->pool, static_cast<Executor&>(executor_), 0);
    gateways_.push_back(std::move(gateway));
    return {};
  }

  Result<std::unique_ptr<Pool>> make_pool(Gateway& gateway, uint32_t number) {
    Result<Registry> registry = plugin_registry({});
    if (!registry) return registry.error();
    registry->add(exact_prefix_cache_plugin(options_.profile.block_size,
                                            [this, &gateway](RequestId id, EndpointId endpoint) {
                                              return cached_blocks(gateway, id, endpoint);
                                            }));
    PoolOptions options = pool_options(options_);
    options.plugins.seed += number;
    if (events_) options.exact_caches = &events_->of_reader(number);
    CompileOptions compiling;
    compiling.plugins = options.plugins;
    Result<PoolConfig> config =
        options_.policy.empty()
            ? compile(options_.config, "simulated.yaml", *registry, compiling)
            : compile_preset(options_.policy, {options_.hold, options_.held_most}, *registry,
                             compiling);
    if (!config) return config.error();
    reads_metrics_ = !config->scrape.sources.empty();
    return Pool::create(executor_, std::move(*registry), std::move(*config), std::move(options),
                        probe_);
  }

  size_t cached_blocks(Gateway& gateway, RequestId id, EndpointId endpoint) {
    Flight& flight = *gateway.flights_by_id.try_emplace(id, gateway.arriving).first->second;
    if (flight.chain.empty()) {
      flight.chain = hash_token_blocks(*flight.prompt, 0, options_.profile.block_size);
    }
    return workers_[index_of(endpoint)]->engine.cached_blocks(flight.chain);
  }

  void serve() {
    flights_.resize(workload_.size());
    for (uint32_t row = 0; row < workload_.size(); ++row) {
      executor_.after(workload_[row].arrival, [this, row] { arrive(row); });
    }
    const bool all = executor_.run_until_idle(std::numeric_limits<size_t>::max());
    KVASIR_ASSERT(all && open_ == 0, "every request comes to its end");
  }

  void arrive(uint32_t row) {
    ++open_;
    Gateway& gateway = *gateways_[mix64(row) % gateways_.size()];
    flights_[row] = std::make_unique<Flight>(*this, gateway, row, prompt_of(workload_[row]));
    Flight& flight = *flights_[row];
    if (reads_metrics_) report_metrics(gateway);
    gateway.arriving = &flight;
    Journey::More more;
    more.body_bytes = 1;
    if (events_) more.tokens = flight.prompt;
    flight.journey.start(peek_of(*flight.prompt, options_.first_tokens_visible), std::move(more));
    if (flights_[row]) gateway.flights_by_id[flight.journey.request().id] = &flight;
  }

  void end(Flight& flight) {
    flight.gateway.flights_by_id.erase(flight.journey.request().id);
    flights_[flight.row].reset();
    --open_;
    result_.makespan = executor_.now() - (TimePoint{} + workload_.front().arrival);
  }

  void report_metrics(Gateway& gateway) {
    std::vector<std::pair<EndpointId, EngineMetrics>> round;
    for (uint32_t i = 0; i < options_.workers; ++i) {
      const EngineStats stats = workers_[i]->engine.stats();
      EngineMetrics metrics;
      metrics.waiting = stats.num_requests_waiting;
      metrics.running = stats.num_requests_running;
      if (options_.prefilling_waits) {
        metrics.waiting = without_first_token(*workers_[i]);
        metrics.running = workers_[i]->flights.size() - *metrics.waiting;
      }
      metrics.kv_usage = stats.kv_cache_usage;
      metrics.read_at = executor_.now();
      round.emplace_back(EndpointId(i), metrics);
    }
    gateway.pool->fleet().set_metrics(std::move(round));
  }

  size_t without_first_token(const SimulatedWorker& worker) const {
    return static_cast<size_t>(
        std::count_if(worker.flights.begin(), worker.flights.end(), [this](const auto& flight) {
          return result_.requests[flight.second.flight->row].output_tokens == 0;
        }));
  }

  void start_step(uint32_t index) {
    Engine& engine = workers_[index]->engine;
    auto duration = engine.start_step(executor_.now());
    for (const WantedBlocks& wanted : engine.take_wanted()) {
      engine.arrived(wanted.sequence, static_cast<uint32_t>(wanted.blocks.size()));
      if (!duration) duration = engine.start_step(executor_.now());
    }
    if (duration) executor_.after(*duration, [this, index] { finish_step(index); });
  }

  void finish_step(uint32_t index) {
    SimulatedWorker& worker = *workers_[index];
    const std::vector<TokenEvent>& tokens = worker.engine.finish_step(executor_.now());
    if (events_) events_->step_finished(index);
    for (const TokenEvent& token : tokens) take_token(worker, token);
    start_step(index);
  }

  void take_token(SimulatedWorker& worker, const TokenEvent& token) {
    const auto at = worker.flights.find(static_cast<uint64_t>(token.sequence));
    KVASIR_ASSERT(at != worker.flights.end(), "tokens belong to requests in flight");
    Flight& flight = *at->second.flight;
    if (at->second.prefills) {
      worker.flights.erase(at);
      return hand_over(flight);
    }
    SimulatedRequest& request = result_.requests[flight.row];
    const Duration since_arrival = executor_.now() - (TimePoint{} + workload_[flight.row].arrival);
    note(static_cast<uint64_t>(executor_.now().time_since_epoch().count()));
    note(uint64_t{flight.row} << 32 | token.position);
    ++request.output_tokens;
    if (token.position == 0) {
      request.time_to_first_token = since_arrival;
      request.prompt_tokens = workload_[flight.row].input_tokens;
      request.cached_tokens = token.cached_tokens;
      note(uint64_t{index_of(request.decision.endpoint)} << 32 | token.cached_tokens);
      if (options_.first_tokens_visible) flight.journey.first_byte();
    }
    if (!token.finished) return;
    request.latency = since_arrival;
    worker.flights.erase(at);
    end(flight);
  }

  void note(uint64_t value) { result_.tokens_hash = mix64(result_.tokens_hash ^ value); }

  const SimulatedWorkload& workload_;
  const SimulationOptions& options_;
  VirtualExecutor executor_;
  SilentProbe probe_;
  bool reads_metrics_ = false;
  std::optional<EventKnowledge> events_;
  std::vector<std::unique_ptr<Gateway>> gateways_;
  std::vector<std::unique_ptr<SimulatedWorker>> workers_;
  std::vector<std::unique_ptr<Flight>> flights_;  // by row; null before and after
  size_t open_ = 0;
  SimulationResult result_;
};

void Flight::on_decided() {
  simulation.decided(*this);
}
void Flight::on_refused(const JourneyRefusal&) {
  simulation.refused(*this);
}
void Flight::on_evicted(const JourneyRefusal&) {
  KVASIR_ASSERT(false, "nobody evicts here");
}

template <class Value>
double sum(const SimulationResult& result, Value&& value) {
  double total = 0;
  for (const SimulatedRequest& request : result.requests) {
    if (!request.refused) total += value(request);
  }
  return total;
}

}  // namespace

size_t served(const SimulationResult& result) {
  return static_cast<size_t>(sum(result, [](const SimulatedRequest&) { return 1; }));
}

double mean_ttft_seconds(const SimulationResult& result) {
  return sum(result, [](const SimulatedRequest& r) { return to_seconds(r.time_to_first_token); }) /
         static_cast<double>(served(result));
}

double mean_latency_seconds(const SimulationResult& result) {
  return sum(result, [](const SimulatedRequest& r) { return to_seconds(r.latency); }) /
         static_cast<double>(served(result));
}

double ttft_percentile_seconds(const SimulationResult& result, double share) {
  std::vector<Duration> times;
  for (const SimulatedRequest& r : result.requests) {
    if (!r.refused) times.push_back(r.time_to_first_token);
  }
  std::sort(times.begin(), times.end());
  const double rank = std::ceil(share * static_cast<double>(times.size()));
  return to_seconds(times[static_cast<size_t>(std::max(1.0, rank)) - 1]);
}

double hit_ratio(const SimulationResult& result) {
  return sum(result, [](const SimulatedRequest& r) { return r.cached_tokens; }) /
         sum(result, [](const SimulatedRequest& r) { return r.prompt_tokens; });
}

double apart_ratio(const SimulationResult& result) {
  return sum(result, [](const SimulatedRequest& r) { return r.apart; }) /
         static_cast<double>(served(result));
}

double inter_token_ms(const SimulationResult& result) {
  const auto decode_ms = [](const SimulatedRequest& r) {
    return to_milliseconds(r.latency - r.time_to_first_token);
  };
  return sum(result, decode_ms) /
         sum(result, [](const SimulatedRequest& r) { return r.output_tokens - 1.0; });
}

double requests_per_second(const SimulationResult& result) {
  return static_cast<double>(served(result)) / to_seconds(result.makespan);
}

Result<SimulationResult> simulate_fleet(const SimulatedWorkload& workload,
                                        const SimulationOptions& options) {
  return Simulation::run(workload, options);
}

}  // namespace kvasir
