// The binary: one subcommand for each program.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "apps/commands.h"
#include "apps/number_checks.h"
#include "apps/sidecar_configuration.h"
#include "apps/sidecar_flags.h"
#include "apps/standard_output.h"
#include "apps/upstream_flags.h"
#include "apps/usage_error.h"
#include "telemetry/log.h"

namespace {

// A socket must not get the number of standard error: the log would be written into it.
void hold_standard_descriptors() {
  for (int descriptor = 0; descriptor >= 0 && descriptor <= STDERR_FILENO;) {
    descriptor = open("/dev/null", O_RDWR);
    if (descriptor > STDERR_FILENO) close(descriptor);
  }
}

int run(int argument_count, char** arguments) {
  CLI::App app("Kvasir decides which worker runs each LLM inference request, and carries it there.",
               "kvasir");
  app.set_version_flag("--version", "kvasir 0.1.0");
  app.require_subcommand(1);
  app.footer("Start here: kvasir up");
  int exit_code = 0;
  kvasir::add_up_command(app, exit_code);
  kvasir::add_gateway_command(app, exit_code);
  kvasir::add_epp_command(app, exit_code);
  kvasir::add_worker_command(app, exit_code);
  kvasir::add_bench_command(app, exit_code);
  kvasir::add_config_command(app, exit_code);
  kvasir::add_kube_command(app, exit_code);
  kvasir::add_conformance_command(app, exit_code);
  kvasir::add_kv_cache_manager_command(app, exit_code);
  kvasir::add_kv_command(app, exit_code);
  kvasir::add_sidecar_command(app, exit_code);
  kvasir::add_pd_proxy_command(app, exit_code);
  kvasir::add_routes_command(app, exit_code);
  kvasir::add_controller_command(app, exit_code);
  kvasir::add_keys_command(app, exit_code);
  kvasir::refuse_negative_counts(app);
  if (argument_count > 1 && std::string_view(arguments[1]) == "worker") {
    return kvasir::run_worker_command({arguments + 2, arguments + argument_count});
  }
  kvasir::ConfiguredWords configuration;
  try {
    std::vector<std::string> words(arguments + 1, arguments + argument_count);
    const std::string program = words.empty() ? "" : words.front();
    if (program == "sidecar") words = kvasir::with_two_dashes(std::move(words));
    if (program == "sidecar" || program == "epp") {
      words = kvasir::without_empty_words(*app.get_subcommand(program), std::move(words));
    }
    if (program == "sidecar") {
      auto configured = kvasir::with_configuration(*app.get_subcommand(program), words);
      if (!configured) return kvasir::fail_command(program, 2, configured.error().message);
      configuration = std::move(*configured);
      words = configuration.words;
    }
    std::reverse(words.begin(), words.end());  // as CLI11 takes them
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    std::string problem = kvasir::usage_error(app, error);
    if (problem.empty()) problem = kvasir::variable_error(app, error);
    const std::string configured = kvasir::configuration_error(configuration, error.what());
    if (!configured.empty()) problem = "kvasir sidecar: " + configured;
    if (!problem.empty()) {
      std::cerr << problem << "\n";
      return 2;
    }
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  return exit_code;
}

}  // namespace

int main(int argument_count, char** arguments) {
  hold_standard_descriptors();
  std::signal(SIGPIPE, SIG_IGN);  // whoever read our log may be gone; sockets report it as an error
  const kvasir::LogThread log_thread;
  const int exit_code = run(argument_count, arguments);
  const kvasir::Result<void> written = kvasir::flush_output(std::cout, stdout);
  if (written) return exit_code;
  std::fprintf(stderr, "kvasir: %s\n", written.error().message.c_str());
  return exit_code == 0 ? 1 : exit_code;
}
