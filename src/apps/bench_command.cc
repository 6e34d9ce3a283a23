#include <CLI/CLI.hpp>

#include "apps/bench_commands.h"
#include "apps/commands.h"

namespace kvasir {

void add_bench_command(CLI::App& app, int& exit_code) {
  CLI::App* bench = app.add_subcommand("bench", "Measure an endpoint, or compare policies");
  bench->require_subcommand(1);
  bench->footer(
      "Start here: kvasir bench ab --time-scale 5\n"
      "It compares four policies, on eight simulated workers each, in less than a minute.");
  add_bench_ab_command(*bench, exit_code);
  add_bench_replay_command(*bench, exit_code);
  add_bench_trace_command(*bench, exit_code);
}

}  // namespace kvasir
