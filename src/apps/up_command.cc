#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "apps/commands.h"
#include "apps/engine_profile_flag.h"
#include "apps/fleet_file.h"
#include "apps/number_checks.h"
#include "apps/up_session.h"
#include "config/presets.h"
#include "net/io/socket.h"
#include "supervise/fleet_description.h"
#include "timing/engine_profile.h"

namespace kvasir {
namespace {

// A directory, or nothing yet: what else stands there is the user's, and stays as it is.
Result<void> check_log_directory(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  static_cast<void>(fs::symlink_status(path, error));
  if (path.empty() || error == std::errc::no_such_file_or_directory) return {};
  if (error) return Error{"--log-dir: cannot use " + path + ": " + error.message()};
  const fs::file_status target = fs::status(path, error);
  if (fs::is_directory(target)) return {};
  const std::string advice = ": name a directory, or a path where nothing is yet";
  if (target.type() == fs::file_type::not_found) {
    return Error{"--log-dir: " + path + " is a symbolic link to nothing" + advice};
  }
  if (!fs::exists(target)) {
    return Error{"--log-dir: cannot use " + path + ": " + error.message()};
  }
  return Error{"--log-dir: " + path + " is not a directory" + advice};
}

// What the programs would only find out for themselves, said before any is started.
Result<void> check(const FleetOptions& options) {
  for (const std::string& url : options.worker_urls) {
    const Result<HostPort> worker = parse_http_origin(url);
    if (!worker) return Error{"--worker-urls: " + worker.error().message};
  }
  if (!options.health_path.empty() && options.worker_urls.empty()) {
    return Error{"--health-path: is for workers that run already, given with --worker-urls"};
  }
  if (!options.health_path.empty() && !options.health_path.starts_with('/')) {
    return Error{"--health-path: '" + options.health_path + "' does not begin with /"};
  }
  if (Result<void> usable = check_log_directory(options.log_directory); !usable) return usable;
  if (!options.engine_profile.empty()) {
    const Result<EngineProfile> profile = load_engine_profile(options.engine_profile);
    if (!profile) return Error{"--engine-profile: " + profile.error().message};
  }
  return {};
}

Result<std::string> fresh_log_directory() {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
  if (error) return Error{"TMPDIR: " + error.message()};
  std::string name = (parent / "kvasir-up-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    return Error{"cannot make " + name + ": " + std::strerror(errno) + "; name one with --log-dir"};
  }
  return name;
}

// What a fleet's file says, unless the command line does.
struct UpFlags {
  FleetOptions options;
  std::string fleet_file;
  const CLI::App* command = nullptr;

  bool says(const char* flag) const { return command->count(flag) > 0; }
};

Result<FleetOptions> options_of(const UpFlags& flags) {
  FleetOptions options = flags.options;
  if (flags.fleet_file.empty()) return options;
  for (const char* flag :
       {"--workers", "--worker-urls", "--health-path", "--policy", "--gateway-threads"}) {
    if (flags.says(flag)) return Error{std::string(flag) + ": with --fleet its file says that"};
  }
  if (!literal_address(options.host)) {
    return Error{"--host: with --fleet it must be an IP address, not '" + options.host + "'"};
  }
  Result<FleetFile> file = load_fleet_file(flags.fleet_file);
  if (!file) return Error{"--fleet: " + file.error().message};
  options.description = std::make_shared<const FleetDescription>(std::move(file->fleet));
  if (!flags.says("--port")) options.port = file->port;
  if (!flags.says("--time-scale")) options.time_scale = file->time_scale;
  if (!flags.says("--engine-profile")) options.engine_profile = file->engine_profile;
  if (!flags.says("--kv-events")) options.kv_events = file->kv_events;
  return options;
}

int run_up(const UpFlags& flags) {
  Result<FleetOptions> chosen = options_of(flags);
  if (!chosen) return fail_command("up", 2, chosen.error().message);
  FleetOptions& options = *chosen;
  const Result<void> sound = check(options);
  if (!sound) return fail_command("up", 2, sound.error().message);
  std::string made_here;  // the one directory that may go again
  if (options.log_directory.empty()) {
    const Result<std::string> directory = fresh_log_directory();
    if (!directory) return fail_command("up", 1, directory.error().message);
    made_here = *directory;
    options.log_directory = made_here;
  }
  const Result<void> outcome = UpSession(options).run();
  if (outcome) return 0;
  if (!made_here.empty()) rmdir(made_here.c_str());  // only when nothing was logged
  return fail_command("up", 1, outcome.error().message);
}

}  // namespace

void add_up_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "up", "Start simulated workers and a gateway in front of them: one OpenAI endpoint");
  auto flags = std::make_shared<UpFlags>();
  FleetOptions* const options = &flags->options;
  flags->command = command;
  command->add_option(
      "-f,--fleet", flags->fleet_file,
      "A file that describes a whole fleet, or a folder with fleet.yaml in it: groups\n"
      "of workers with their roles, sidecars, prefill/decode proxies and the gateway\n"
      "(docs/UP.md). --port, --time-scale and --engine-profile win over what it says");
  options->policy.clear();  // then the gateway looks at DYN_ROUTER_MODE
  command->add_option("--workers", options->workers, "Workers to start")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--port", options->port, "Port of the endpoint; 0 takes a free one")
      ->capture_default_str();
  command->add_option("--host", options->host, "Address that everything listens on")
      ->capture_default_str();
  command
      ->add_option("--worker-urls", options->worker_urls,
                   "Workers that run already, as http://HOST:PORT[,...]: none is started")
      ->delimiter(',');
  command->add_option(
      "--health-path", options->health_path,
      "What those are asked for to learn whether they are healthy (default: /health;\n"
      "Triton: /v2/health/ready)");
  command
      ->add_option(
          "--policy", options->policy,
          "How to route: kv, load-cost, least-load, random or round-robin; or, to compare\n"
          "with, by another router's rule: dynamo, lmetric or llm-d\n"
          "(default: the variable DYN_ROUTER_MODE, else kv)")
      ->check(CLI::IsMember(policy_names()));
  add_engine_profile_flag(*command, options->engine_profile, "What the workers simulate");
  command->add_option("--time-scale", options->time_scale, "Run that many times faster than life")
      ->check(time_scale_check())
      ->capture_default_str();
  options->kv_events = true;
  const CLI::Option* kv_events = command->add_flag(
      "--kv-events,!--no-kv-events", options->kv_events,
      "Workers publish KV events, and the gateway knows by them what their caches hold\n"
      "(default: on). With --worker-urls, when it is given: those workers publish at port\n"
      "5557 of their hosts, as vLLM does with --kv-events-config (the gateway's\n"
      "--kv-events auto)");
  command
      ->add_option("--gateway-threads", options->gateway_threads,
                   "Threads of the gateway (default: one for each core)")
      ->check(CLI::Range(0, kThreadsMost));
  command->add_option("--log-dir", options->log_directory,
                      "Where each process logs (default: a fresh directory under $TMPDIR)");
  command->footer(
      "Examples: kvasir up --workers 4 --port 8000 --policy kv\n"
      "          kvasir up -f examples/pd");
  command->callback([flags, kv_events, &exit_code] {
    flags->options.given_workers_publish = flags->options.kv_events && kv_events->count() > 0;
    exit_code = run_up(*flags);
  });
}

}  // namespace kvasir
