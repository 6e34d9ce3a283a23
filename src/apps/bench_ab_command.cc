#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "apps/bench_commands.h"
#include "apps/engine_profile_flag.h"
#include "bench/ab.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"
#include "config/presets.h"
#include "timing/engine_profile.h"

namespace kvasir {
namespace {

struct AbFlags {
  WorkloadFlags shared;
  AbOptions ab;
  std::vector<std::string> kv_events;  // on or off, for each arm
  uint64_t kv_tokens = 0;
  uint32_t max_model_len = 0;
};

// What the workers are told besides the fleet's own.
Result<std::vector<std::string>> worker_arguments(const AbFlags& flags) {
  const std::string& name = flags.ab.fleet.engine_profile;
  const Result<EngineProfile> profile =
      load_engine_profile(name.empty() ? std::string(kDefaultEngineProfile) : name);
  if (!profile) return Error{"--engine-profile: " + profile.error().message};
  std::vector<std::string> arguments;
  if (flags.max_model_len > 0) {
    arguments.insert(arguments.end(), {"--max-model-len", std::to_string(flags.max_model_len)});
  }
  if (flags.kv_tokens > 0) {
    const uint64_t blocks = std::max<uint64_t>(1, flags.kv_tokens / profile->block_size);
    arguments.insert(arguments.end(), {"--num-gpu-blocks-override", std::to_string(blocks)});
  }
  return arguments;
}

int run_ab_command(const AbFlags& flags) {
  Result<std::vector<std::string>> of_workers = worker_arguments(flags);
  if (!of_workers) return complain(of_workers.error().message, 2);
  if (flags.kv_events.size() > flags.ab.arms.size()) {
    return complain("--kv-events: says more than there are arms", 2);
  }
  if (const Result<void> writable = check_json_file(flags.shared); !writable) {
    return complain(writable.error().message);
  }
  AbOptions options = flags.ab;
  for (const std::string& word : flags.kv_events) options.kv_events.push_back(word == "on");
  for (const std::string& arm : arm_names(options.arms, options.kv_events)) {
    const std::string file = flags.ab.output_directory + "/" + arm + ".jsonl";
    const Result<void> other = check_is_not_trace(flags.shared, file);
    if (!other) return complain("--output " + other.error().message);
  }
  Report report;
  const Result<Workload> workload = load_workload(flags.shared, report);
  if (!workload) return complain(workload.error().message, 2);
  raise_descriptor_limit();
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) return complain(loop.error().message);

  options.fleet.worker_arguments = std::move(*of_workers);
  options.fleet.time_scale = flags.shared.time_scale;
  options.completion.seed = flags.shared.seed;
  options.completion.token_ids = flags.shared.token_ids;
  options.completion.ignore_eos = flags.shared.ignore_eos;
  options.timeout = from_seconds(flags.shared.timeout_s);
  options.allow_lag = flags.shared.allow_lag;
  Result<AbOutcome> outcome = run_ab(**loop, *workload, options);
  if (!outcome) return complain(outcome.error().message);
  report.model = outcome->model;
  report.arms = std::move(outcome->arms);
  if (report.arms.size() > 1) report.rows_with_other_tokens = outcome->rows_with_other_tokens;
  return deliver_report(report, flags.shared);
}

}  // namespace

void add_bench_ab_command(CLI::App& bench, int& exit_code) {
  const auto flags = std::make_shared<AbFlags>();
  AbOptions& ab = flags->ab;
  ab.arms = {"round-robin", "least-load", "load-cost", "kv"};
  CLI::App* command =
      bench.add_subcommand("ab", "Compare policies: the same workload, a fresh fleet for each");
  command
      ->add_option("--arms", ab.arms, "Policies, in the order to run; the first is the yardstick")
      ->delimiter(',')
      ->check(CLI::IsMember(policy_names()))
      ->default_str("round-robin,least-load,load-cost,kv");
  command->add_option("--workers", ab.fleet.workers, "Simulated workers of each arm")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  add_engine_profile_flag(*command, ab.fleet.engine_profile, "What the workers simulate");
  command
      ->add_option("--kv-events", flags->kv_events,
                   "Whether workers publish KV events and the gateway knows their caches by them:\n"
                   "on or off, one for each arm or for all (default: off)")
      ->delimiter(',')
      ->check(CLI::IsMember({"on", "off"}));
  command
      ->add_option("--kv-tokens", flags->kv_tokens,
                   "KV cache of a worker, in tokens (default: the profile's)")
      ->check(CLI::Range(1024, 1 << 28));
  command
      ->add_option("--max-model-len", flags->max_model_len,
                   "Workers refuse longer rows (default: the profile's)")
      ->check(CLI::Range(2, 1 << 24));
  command
      ->add_option(
          "--gateways", ab.fleet.gateways,
          "Gateways in front of each arm's workers: requests are dealt to them in turn, and\n"
          "none sees what the others were sent")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  command->add_option("--gateway-threads", ab.fleet.gateway_threads,
                      "Threads of each gateway (default: one for each core)");
  add_workload_flags(*command, flags->shared);
  command->add_option(
      "--output", ab.output_directory,
      "Keep a JSON line for each request (ARM.jsonl) and the processes' logs in this "
      "directory");
  command->footer(
      "Examples:\n"
      "  kvasir bench ab --time-scale 5           # the built-in trace, four policies, two "
      "minutes\n"
      "  kvasir bench ab --trace conversation_trace.jsonl --requests 1000 --time-scale 5\n"
      "  kvasir bench ab --arms round-robin,kv --workers 4 --json report.json --output requests/\n"
      "  kvasir bench ab --arms kv,kv             # A/A: how far does one policy scatter?\n"
      "  kvasir bench ab --arms kv,kv --kv-events off,on --token-ids --kv-tokens 250000\n"
      "  kvasir bench ab --arms kv,kv --kv-events off,on --token-ids --gateways 2\n"
      "\n"
      "The workers of all arms must be alike (number, model, sizes) and live through the run, else "
      "the\n"
      "comparison is called off. Every request must get the same tokens in all arms.\n"
      "Exit status: 0 a clean comparison; 1 errors, other tokens, a late client or an unfit "
      "fleet;\n"
      "2 wrong flags.");
  command->callback([flags, &exit_code] { exit_code = run_ab_command(*flags); });
}

}  // namespace kvasir
