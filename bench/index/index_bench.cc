// Measures indexes of KV blocks side by side and writes what it found as JSON; bench/index/run.py
// makes the tables. See README.md.
//
//   index_bench TRACE [--rounds 3] [--operations 12000000] [--only NAME]...
//   index_bench TRACE --capacity [--holders 1000] [--memberships 30000000]
//   index_bench TRACE --apply NAME [--operations 12000000]
//     events alone, as fast as it can: to profile
//   index_bench TRACE --answers [--holes]
//     a workload and our answers, for dynamo_oracle.py
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/whole_file.h"
#include "index/answers.h"
#include "index/cache_workload.h"
#include "index/capacity.h"
#include "index/contender.h"
#include "index/exactness.h"
#include "index/measurements.h"
#include "wire/mooncake_trace.h"

namespace kvasir {
namespace {

constexpr size_t kTraceBytesMost = size_t{256} << 20;
constexpr double kComfort = 0.8;  // of the ceiling: where lookups are measured
constexpr uint64_t kCheckedOperations = 200'000;

struct BenchArguments {
  std::string trace;
  int rounds = 3;
  uint64_t operations = 12'000'000;
  std::vector<std::string> only;
  std::string apply;
  bool answers = false;
  bool capacity = false;
  CapacityOptions capacity_options;
  bool holes = false;
};

// Small caches, many holes, restarts and copies, workers that name blocks differently.
CacheWorkload stormy_workload(const std::vector<TraceRow>& rows, uint32_t workers) {
  CacheWorkloadOptions options;
  options.workers = workers;
  options.blocks_of_worker = 3'000;
  options.operations = kCheckedOperations;
  options.prompt_blocks_max = 400;
  options.chunk_blocks = 32;
  options.round_robin_one_in = 2;
  options.odd_eviction_one_in = 4;
  options.clear_every_requests = 40;
  options.engine_seeds = 3;
  return make_cache_workload(rows, options);
}

// Prompts that an index of another make can be asked for in reasonable time.
void print_small_workload(const std::vector<TraceRow>& rows, bool holes) {
  constexpr uint32_t kWorkers = 16;
  CacheWorkloadOptions options;
  options.workers = kWorkers;
  options.blocks_of_worker = 2'000;
  options.operations = 700'000;
  options.prompt_blocks_max = 300;
  options.chunk_blocks = 32;
  options.odd_eviction_one_in = holes ? 10 : 0;
  options.clear_every_requests = 200;
  const CacheWorkload workload = make_cache_workload(rows, options);
  print_answers(workload, kWorkers, *contender_kinds().front().make(kWorkers), stdout);
}

// One thread, no lookups, no clock: what `perf record` should look at.
int apply_alone(const std::vector<TraceRow>& rows, const BenchArguments& arguments) {
  CacheWorkloadOptions options;
  options.operations = arguments.operations;
  const CacheWorkload workload = make_cache_workload(rows, options);
  for (const ContenderKind& kind : contender_kinds()) {
    if (kind.name != arguments.apply) continue;
    const nlohmann::json found = measure_applying(workload, options.workers, kind);
    std::printf("%s: %.2f M block operations a CPU second\n", kind.name.c_str(),
                found["per_cpu_s"].get<double>() / 1e6);
    return 0;
  }
  std::fprintf(stderr, "index_bench: no contender is called %s\n", arguments.apply.c_str());
  return 2;
}

nlohmann::json capacity(const std::vector<TraceRow>& rows, const CapacityOptions& options) {
  const CapacityWorkload workload = make_capacity_workload(rows, options);
  nlohmann::json found = measure_capacity(workload, options, make_product);
  found["workload"] = {{"holders", options.holders},
                       {"memberships", workload.memberships},
                       {"distinct", workload.distinct},
                       {"salts", workload.salts}};
  return found;
}

nlohmann::json to_json(const Exactness& exactness) {
  return {{"operations", exactness.operations},
          {"lookups", exactness.lookups},
          {"matches", exactness.matches},
          {"differences", exactness.differences},
          {"first_difference", exactness.first_difference}};
}

nlohmann::json check(const CacheWorkload& workload, uint32_t workers, const ContenderKind& kind) {
  const auto index = kind.make(workers);
  const auto oracle = make_oracle(workers);
  return to_json(check_exactness(workload, workers, kCheckedOperations, *index, *oracle));
}

nlohmann::json bench(const std::vector<TraceRow>& rows, const BenchArguments& arguments) {
  std::vector<ContenderKind> kinds = contender_kinds();
  if (!arguments.only.empty()) {
    std::erase_if(kinds, [&](const ContenderKind& kind) {
      return std::find(arguments.only.begin(), arguments.only.end(), kind.name) ==
             arguments.only.end();
    });
  }
  nlohmann::json contenders = nlohmann::json::array();
  for (const ContenderKind& kind : kinds) {
    contenders.push_back({{"name", kind.name}, {"what", kind.what}});
  }

  constexpr uint32_t kStormWorkers = 12;
  const CacheWorkload storm = stormy_workload(rows, kStormWorkers);
  CacheWorkloadOptions options;
  options.operations = arguments.operations;
  const CacheWorkload workload = make_cache_workload(rows, options);
  const HeldBlocks held = count_held(workload, options.workers);

  for (size_t i = 0; i < kinds.size(); ++i) {
    std::fprintf(stderr, "index_bench: is %s exact?\n", kinds[i].name.c_str());
    contenders[i]["exactness"] = {check(storm, kStormWorkers, kinds[i]),
                                  check(workload, options.workers, kinds[i])};
    contenders[i]["memory"] = measure_memory(workload, options.workers, kinds[i]);
    contenders[i]["long_prompts"] = measure_long_prompts(workload, options.workers, kinds[i]);
  }
  for (int round = 0; round < arguments.rounds; ++round) {
    for (size_t n = 0; n < kinds.size(); ++n) {
      const size_t i = (n + static_cast<size_t>(round)) % kinds.size();
      std::fprintf(stderr, "index_bench: round %d, %s\n", round + 1, kinds[i].name.c_str());
      nlohmann::json found = find_ceiling(workload, options.workers, kinds[i]);
      const double ceiling = found["ceiling"].get<double>();
      if (ceiling > 0) {
        found["comfort"] = measure_load(workload, options.workers, kinds[i], {kComfort * ceiling});
      }
      contenders[i]["rounds"].push_back(std::move(found));
    }
  }
  return {{"contenders", contenders},
          {"hashing", measure_hashing()},
          {"workload",
           {{"workers", options.workers},
            {"blocks_of_worker", options.blocks_of_worker},
            {"requests", workload.requests},
            {"prompt_blocks", workload.prompt_blocks},
            {"hit_blocks", workload.hit_blocks},
            {"operations", workload.operations},
            {"warm_operations", workload.warm_operations},
            {"events", workload.events.size()},
            {"batches", workload.batch_ends.size()},
            {"memberships", held.memberships},
            {"distinct", held.distinct}}}};
}

int main_of(const BenchArguments& arguments) {
  const Result<std::string> text = read_whole_file(arguments.trace, kTraceBytesMost);
  if (!text) {
    std::fprintf(stderr, "index_bench: %s\n", text.error().message.c_str());
    return 1;
  }
  const Result<MooncakeTrace> trace = parse_mooncake_trace(*text, arguments.trace);
  if (!trace || trace->rows.empty()) {
    std::fprintf(stderr, "index_bench: %s\n",
                 trace ? "the trace has no rows" : trace.error().message.c_str());
    return 1;
  }
  if (arguments.answers) {
    print_small_workload(trace->rows, arguments.holes);
    return 0;
  }
  if (!arguments.apply.empty()) return apply_alone(trace->rows, arguments);
  if (arguments.capacity) {
    std::printf("%s\n", capacity(trace->rows, arguments.capacity_options).dump().c_str());
    return 0;
  }
  std::printf("%s\n", bench(trace->rows, arguments).dump().c_str());
  return 0;
}

}  // namespace
}  // namespace kvasir

int main(int argc, char** argv) {
  kvasir::BenchArguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool more = i + 1 < argc;
    if (argument == "--rounds" && more) {
      arguments.rounds = std::atoi(argv[++i]);
    } else if (argument == "--operations" && more) {
      arguments.operations = std::strtoull(argv[++i], nullptr, 10);
    } else if (argument == "--only" && more) {
      arguments.only.emplace_back(argv[++i]);
    } else if (argument == "--apply" && more) {
      arguments.apply = argv[++i];
    } else if (argument == "--capacity") {
      arguments.capacity = true;
    } else if (argument == "--holders" && more) {
      arguments.capacity_options.holders =
          static_cast<uint32_t>(std::strtoul(argv[++i], nullptr, 10));
    } else if (argument == "--memberships" && more) {
      arguments.capacity_options.memberships = std::strtoull(argv[++i], nullptr, 10);
      arguments.capacity_options.distinct = arguments.capacity_options.memberships / 3;
    } else if (argument == "--answers") {
      arguments.answers = true;
    } else if (argument == "--holes") {
      arguments.holes = true;
    } else {
      arguments.trace = argument;
    }
  }
  if (arguments.trace.empty() || arguments.rounds < 1 || arguments.operations == 0) {
    std::fprintf(stderr,
                 "usage: index_bench TRACE [--rounds N] [--operations N] [--only NAME]...\n"
                 "       index_bench TRACE --capacity [--holders N] [--memberships N]\n"
                 "       index_bench TRACE --apply NAME [--operations N]\n"
                 "       index_bench TRACE --answers [--holes]\n");
    return 2;
  }
  return kvasir::main_of(arguments);
}
