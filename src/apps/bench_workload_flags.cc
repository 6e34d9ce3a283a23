#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "apps/bench_commands.h"
#include "apps/duration_flag.h"
#include "apps/number_checks.h"
#include "bench/output_file.h"
#include "bench/trace_file.h"

namespace kvasir {

int complain(const std::string& what, int exit_code) {
  std::fprintf(stderr, "kvasir bench: %s\n", what.c_str());
  return exit_code;
}

void add_workload_flags(CLI::App& command, WorkloadFlags& flags) {
  command.add_option("--trace", flags.trace,
                     "Mooncake trace, JSON lines, as its publishers, AIPerf, GuideLLM or Dynamo write it "
                     "(default: a small one that is built in)");
  command
      .add_option("--block-tokens", flags.workload.block_tokens,
                  "Tokens that each of the trace's hash_ids stands for")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--requests", flags.workload.requests, "Replay this many rows (default: all)")
      ->check(CLI::PositiveNumber);
  command.add_option("--start", flags.workload.start, "Skip this many rows first")
      ->check(CLI::NonNegativeNumber);
  command
      .add_option("--speed", flags.workload.speed,
                  "Send so many times faster than the trace: more load")
      ->check(time_scale_check())
      ->capture_default_str();
  command
      .add_option(
          "--bins", flags.bins,
          "Rows with one timestamp: 'spread' evenly over the trace's bin, or sent at once, 'as-is'")
      ->check(CLI::IsMember({"spread", "as-is"}))
      ->capture_default_str();
  command
      .add_option(
          "--time-scale", flags.time_scale,
          "Everything runs so many times faster than life, with reported times unscaled; the "
          "workers must run at the same scale")
      ->check(time_scale_check())
      ->capture_default_str();
  command.add_option("--seed", flags.seed, "Of the prompts' text and of the requests")
      ->capture_default_str();
  add_seconds_flag(command, "--timeout", flags.timeout_s,
                   "From the intended send to the end of an answer, in the trace's time")
      ->check(above_zero());
  command.add_flag("--token-ids", flags.token_ids,
                   "Send the prompts that are made up of hash_ids as token ids, not as text: who "
                   "routes need not ask for their tokens");
  command.add_flag(
      "--ignore-eos", flags.ignore_eos,
      "Ask for answers of full length: for real engines, which else end when they like");
  command.add_flag(
      "--allow-lag", flags.allow_lag,
      "Report even when the client fell behind its schedule, as it must when thousands of "
      "rows are due at once");
  command.add_option("--json", flags.json, "Write the report to this file as JSON too");
}

Result<Workload> load_workload(const WorkloadFlags& flags, Report& report) {
  Result<TraceFile> trace = load_trace(flags.trace, flags.workload.block_tokens);
  if (!trace) return trace.error();
  for (const std::string& remark : trace->remarks) {
    complain("note: " + trace->name + ": " + remark);
  }
  const size_t rows = trace->rows.size();
  WorkloadOptions options = flags.workload;
  options.bins = flags.bins == "as-is" ? Bins::kAsIs : Bins::kSpread;
  Workload workload = plan_workload(std::move(trace->rows), options);
  if (workload.size() == 0) {
    return Error{"--start " + std::to_string(flags.workload.start) + ": the trace has only " +
                 std::to_string(rows) + " rows"};
  }
  report = describe(workload);
  report.trace = trace->name;
  report.trace_hash = trace->hash;
  report.seed = flags.seed;
  report.speed = flags.workload.speed;
  report.time_scale = flags.time_scale;
  return workload;
}

Result<void> check_json_file(const WorkloadFlags& flags) {
  if (flags.json.empty()) return {};
  const Result<void> writable = check_output_file(flags.json);
  if (!writable) return Error{"--json " + writable.error().message};
  const Result<void> other = check_is_not_trace(flags, flags.json);
  if (!other) return Error{"--json " + other.error().message};
  return {};
}

Result<void> check_is_not_trace(const WorkloadFlags& flags, const std::string& output) {
  std::error_code ignored;  // one of them is not there
  if (!std::filesystem::is_regular_file(output, ignored)) return {};
  if (!std::filesystem::equivalent(flags.trace, output, ignored)) return {};
  return Error{output + ": it is the trace itself, which would be lost: name another file"};
}

int deliver_report(const Report& report, const WorkloadFlags& flags) {
  const std::string problem = lag_problem(report);
  if (!problem.empty()) {
    if (!flags.allow_lag) {
      return complain(
          problem + "; no report. Lower --speed, --time-scale or --requests, or pass --allow-lag");
    }
    complain("warning: " + problem);
  }
  std::fputs(report_text(report).c_str(), stdout);
  std::fflush(stdout);
  if (!flags.json.empty()) {
    std::ofstream file(flags.json);
    if (!(file << report_json(report)) || !file.flush()) {
      return complain("--json " + flags.json + ": cannot write it: " + std::strerror(errno));
    }
  }
  bool clean = !report.rows_with_other_tokens || report.rows_with_other_tokens->empty();
  for (const ArmMetrics& arm : report.arms) clean = clean && arm.errors == 0;
  return clean ? 0 : 1;
}

}  // namespace kvasir
