#include <CLI/CLI.hpp>

#include "apps/commands.h"

namespace kvasir {

void add_up_command(CLI::App& app, int& exit_code) {
  app.add_subcommand("up")->callback([&exit_code] { exit_code = 1; });
}

}  // namespace kvasir
