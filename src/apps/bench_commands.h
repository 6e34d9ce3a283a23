// The subcommands of `kvasir bench`; see commands.h for what the functions do.
#pragma once

#include <string>

#include "bench/report.h"
#include "bench/workload.h"

namespace CLI {
class App;
}

namespace kvasir {

void add_bench_replay_command(CLI::App& bench, int& exit_code);
void add_bench_ab_command(CLI::App& bench, int& exit_code);
void add_bench_trace_command(CLI::App& bench, int& exit_code);

// The flags that replay and ab share.
struct WorkloadFlags {
  std::string trace;
  WorkloadOptions workload;  // but for `bins`
  std::string bins = "spread";
  uint64_t seed = 1;
  double time_scale = 1;
  double timeout_s = 1800;
  bool token_ids = false;
  bool ignore_eos = false;
  bool allow_lag = false;
  std::string json;
};
void add_workload_flags(CLI::App& command, WorkloadFlags& flags);

// The trace of `flags` and what of it is replayed. `report` gets what a report tells of them.
Result<Workload> load_workload(const WorkloadFlags& flags, Report& report);

// Whether --json can be written, asked before the run.
Result<void> check_json_file(const WorkloadFlags& flags);
// Writing to the trace would destroy it.
Result<void> check_is_not_trace(const WorkloadFlags& flags, const std::string& output);

// Prints the report and writes the JSON, unless the client fell behind. The exit code: 0 when every
// request was answered as asked and all arms gave the same tokens.
int deliver_report(const Report& report, const WorkloadFlags& flags);

// One line on standard error; returns `exit_code`.
int complain(const std::string& what, int exit_code = 1);

}  // namespace kvasir
