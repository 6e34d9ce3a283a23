#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>

#include "apps/bench_commands.h"
#include "apps/duration_flag.h"
#include "bench/output_file.h"
#include "bench/trace_generator.h"

namespace kvasir {
namespace {

struct TraceFlags {
  TraceOptions options;
  std::string output;
};

int run_trace_command(const TraceFlags& flags) {
  std::string text;
  for (const TraceRow& row : generate_trace(flags.options)) append_mooncake_row(row, text);
  if (flags.output.empty()) {
    std::fputs(text.c_str(), stdout);
    return 0;  // main() says what could not be written
  }
  if (const Result<void> writable = check_output_file(flags.output); !writable) {
    return complain("--output " + writable.error().message);
  }
  std::ofstream file(flags.output, std::ios::binary);
  if (!(file << text) || !file.flush()) {
    return complain("--output " + flags.output + ": cannot write it: " + std::strerror(errno));
  }
  return 0;
}

}  // namespace

void add_bench_trace_command(CLI::App& bench, int& exit_code) {
  const auto flags = std::make_shared<TraceFlags>();
  TraceOptions& options = flags->options;
  CLI::App* command = bench.add_subcommand("trace", "Make up a workload, in Mooncake's format");
  const CLI::Range day(1, 86400);
  command->add_option("--seed", options.seed, "Same options and seed, same rows")
      ->capture_default_str();
  command->add_option("--requests", options.requests, "How many rows")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  command
      ->add_option("--duration", options.duration_s,
                   "Within which they arrive (seconds, or with a unit: 10m)")
      ->transform(as_seconds())
      ->check(day)
      ->capture_default_str();
  command
      ->add_option("--bin-ms", options.bin_ms,
                   "Timestamps are multiples of it; 1: exact (milliseconds, or with a unit: 3s)")
      ->transform(as_milliseconds())
      ->check(CLI::Range(1, 60000))
      ->capture_default_str();
  command
      ->add_option("--system-prompts", options.system_prompts,
                   "How many beginnings conversations share")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      ->add_option("--follow-ups", options.follow_up_percent,
                   "Percent of requests that go on with a conversation")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  command->add_option("--prompt-tokens-max", options.prompt_tokens_max, "The longest prompt")
      ->check(CLI::Range(8192, 1'000'000))
      ->capture_default_str();
  command->add_option("--output", flags->output, "The file (default: standard output)");
  command->footer(
      "Examples:\n"
      "  kvasir bench trace --output examples/conversation_small.jsonl   # how that file was made\n"
      "  kvasir bench trace --seed 7 --requests 2000 --duration 600 --output trace.jsonl\n"
      "  kvasir bench ab --trace trace.jsonl --time-scale 5\n"
      "\n"
      "Conversations begin with one of a few shared system prompts and grow with each question "
      "and\n"
      "answer; all lengths are heavy-tailed, arrivals are Poisson.");
  command->callback([flags, &exit_code] { exit_code = run_trace_command(*flags); });
}

}  // namespace kvasir
