#include <CLI/CLI.hpp>

#include "apps/commands.h"

namespace kvasir {

void add_worker_command(CLI::App& app, int& exit_code) {
  app.add_subcommand("worker")->callback([&exit_code] { exit_code = 1; });
}

}  // namespace kvasir
