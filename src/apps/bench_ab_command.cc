#include <CLI/CLI.hpp>

#include "apps/bench_commands.h"

namespace kvasir {

void add_bench_ab_command(CLI::App& bench, int& exit_code) {
  bench.add_subcommand("ab", "Compare policies")->callback([&exit_code] { exit_code = 1; });
}

}  // namespace kvasir
