#include <CLI/CLI.hpp>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/controller_session.h"
#include "apps/log_flags.h"
#include "net/io/event_loop.h"
#include "net/io/flag_address.h"
#include "net/io/signal_watcher.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

constexpr const char* kController = "controller";

struct ControllerWords {
  ControllerFlags flags;
  std::vector<std::string> ports;  // LISTENER=ENVOY
  std::string admin = "127.0.0.1:19000";
  std::string envoy_folder;
  std::string log_level = "info";
  bool bootstrap = false;
};

Result<void> read_ports(const std::vector<std::string>& words, EnvoyOptions& options) {
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    const auto listener = parse_port(std::string_view(word).substr(0, equals));
    const auto envoy =
        equals == word.npos ? listener : parse_port(std::string_view(word).substr(equals + 1));
    if (!listener || !envoy || equals == word.npos) {
      return Error{"--listener-port: '" + word + "' is not LISTENER=ENVOY, such as 80=8080"};
    }
    if (!options.ports.emplace(*listener, *envoy).second) {
      return Error{"--listener-port: " + std::to_string(*listener) + " is there twice"};
    }
  }
  return {};
}

Result<ControllerFlags> flags_of(const ControllerWords& words) {
  ControllerFlags flags = words.flags;
  if (Result<void> read = read_ports(words.ports, flags.envoy); !read) return read.error();
  const Result<HostPort> admin = parse_host_port(words.admin);
  if (!admin) return Error{"--admin: " + admin.error().message};
  flags.envoy.admin = *admin;
  std::error_code error;
  const std::filesystem::path out = std::filesystem::absolute(flags.out, error);
  if (error) return Error{"--out: " + error.message()};
  flags.out = out.lexically_normal().string();
  while (flags.out.size() > 1 && flags.out.back() == '/') flags.out.pop_back();
  flags.envoy.folder = words.envoy_folder.empty() ? flags.out : words.envoy_folder;
  if (flags.envoy.folder.front() != '/') {
    return Error{"--envoy-folder: '" + words.envoy_folder + "' does not begin with a slash"};
  }
  return flags;
}

int run_controller(const ControllerWords& words) {
  set_log_component(kController);
  set_log_level(log_level_named(words.log_level).value_or(LogLevel::kInfo));
  const Result<ControllerFlags> flags = flags_of(words);
  if (!flags) return fail_command(kController, 2, flags.error().message);
  const std::string start = "envoy -c " + flags->envoy.folder + "/bootstrap.json";
  if (words.bootstrap) {
    std::cout << start << "\n";
    return 0;
  }
  if (flags->paths.empty()) {
    return fail_command(kController, 2, "-f FILE is missing: which objects?");
  }
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) return fail_command(kController, 1, loop.error().message);
  const auto signals =
      SignalWatcher::create(**loop, {SIGINT, SIGTERM}, [&](int) { (*loop)->stop(); });
  if (!signals) return fail_command(kController, 1, signals.error().message);
  const Result<std::unique_ptr<ControllerSession>> session =
      ControllerSession::open(**loop, *flags);
  if (!session) return fail_command(kController, 2, session.error().message);
  log_info("Envoy's configuration of " + std::to_string((*session)->routes()) +
           " HTTPRoutes is in " + flags->out + "; start it by " + start);
  if (!flags->once) (*loop)->run();
  return 0;
}

}  // namespace

void add_controller_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      kController,
      "Program an Envoy from the Gateway API resources that kvasir gateway --routes takes");
  auto words = std::make_shared<ControllerWords>();
  ControllerFlags& flags = words->flags;
  command->add_option(
      "-f,--filename", flags.paths,
      "YAML or JSON with Kubernetes objects, or a folder of such files, which is watched;\n"
      "repeatable");
  command->add_option("--out", flags.out, "Folder of the files that Envoy reads and watches")
      ->required();
  command->add_option("--envoy-folder", words->envoy_folder,
                      "Where Envoy sees that folder (default: at the same place)");
  command->add_option("--listener-address", flags.envoy.listener_address, "Where Envoy listens")
      ->capture_default_str();
  command->add_option("--listener-port", words->ports,
                      "LISTENER=ENVOY: at which port Envoy serves a port of the listeners\n"
                      "(default: the same); repeatable");
  command->add_option("--admin", words->admin, "HOST:PORT of Envoy's admin interface")
      ->capture_default_str();
  command->add_option("--gateway-class", flags.classes,
                      "Gateways of this gatewayClassName count; repeatable (default: all)");
  command
      ->add_option("-n,--namespace", flags.name_space,
                   "Of objects that name no namespace themselves")
      ->capture_default_str();
  command->add_flag("--plain-pickers", flags.envoy.plain_pickers,
                    "Ask pickers without TLS (kvasir epp --secure-serving=false) where their\n"
                    "Service's port has no appProtocol");
  command->add_flag("--once", flags.once, "Write the files and end");
  command->add_flag("--bootstrap", words->bootstrap, "Print how Envoy is started, and end");
  command->add_option("--log-level", words->log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}, CLI::ignore_case))
      ->capture_default_str();
  command->footer(
      "Envoy then carries requests by the same rules as kvasir gateway --routes; what the objects\n"
      "come to is told by kvasir routes -f. Requests for an InferencePool are sent where the "
      "picker\n"
      "says that its endpointPickerRef names (kvasir epp, or another one). The files change when "
      "the\n"
      "objects do, and Envoy follows them without a restart (docs/CONTROLLER.md).\n\n"
      "  kvasir controller -f routes/ --out /etc/envoy/kvasir\n"
      "  $(kvasir controller --out /etc/envoy/kvasir --bootstrap) --concurrency 2\n"
      "  kvasir controller -f routes/ --out /tmp/envoy --listener-port 80=8080 --once");
  command->callback([words, &exit_code] { exit_code = run_controller(*words); });
}

}  // namespace kvasir
