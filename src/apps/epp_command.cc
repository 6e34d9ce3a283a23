#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "apps/commands.h"
#include "apps/epp_flags.h"
#include "apps/epp_metrics.h"
#include "apps/epp_upstream_flags.h"
#include "apps/open_ports.h"
#include "apps/process_memory.h"
#include "epp/epp.h"
#include "net/io/event_loop.h"
#include "net/io/signal_watcher.h"
#include "net/io/socket.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

std::string endpoints_text(const FleetFeedsOptions& feeds) {
  if (feeds.dns) return "endpoints of " + to_string(*feeds.dns);
  if (!feeds.endpoints_file.empty()) return "endpoints of " + feeds.endpoints_file;
  return std::to_string(feeds.endpoints.size()) + " endpoints";
}

int run_epp(const EppFlags& flags, const UpstreamFlags& upstream) {
  set_log_component("epp");
  const Result<LogSettings> logging = log_settings(flags.log);
  if (!logging) return fail_command("epp", 2, logging.error().message);
  set_log_level(logging->level);
  set_log_encoding(logging->encoding);
  keep_freed_memory();
  raise_descriptor_limit();
  if (const Result<void> checked = upstream.check(); !checked) {
    return fail_command("epp", 2, checked.error().message);
  }
  Result<EppOptions> options = epp_options(flags);
  if (!options) return fail_command("epp", 2, options.error().message);
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) return fail_command("epp", 1, loop.error().message);
  Result<std::unique_ptr<DecisionLog>> log = decision_log(flags.decision_log, "epp");
  if (!log) return fail_command("epp", 2, log.error().message);
  EppMetricsOptions metrics_options = epp_metrics_options(flags);
  metrics_options.version = KVASIR_VERSION;
  EppMetrics metrics(std::move(metrics_options), (*loop)->clock(), log->get());
  std::unique_ptr<Epp> epp;
  Result<std::unique_ptr<SignalWatcher>> signals = SignalWatcher::create(
      **loop, {SIGINT, SIGTERM, SIGHUP}, [&loop, &epp, stopping = false](int) mutable {
        if (std::exchange(stopping, true)) return (*loop)->stop();
        log_info("stopping: running streams may end, new ones are refused");
        epp->drain([&loop] { (*loop)->stop(); });
      });
  if (!signals) return fail_command("epp", 1, signals.error().message);
  const auto page = [&metrics, &epp] {
    const PoolStats stats = epp->pool().stats();
    return metrics.page(*epp->pool().snapshot(), stats.flow_control ? &stats.flow : nullptr,
                        stats.plugins);
  };
  Result<std::unique_ptr<Epp>> created = Epp::create(**loop, *options, metrics, page);
  if (!created)
    return fail_command("epp", options->pool.config_name.empty() ? 1 : 2, created.error().message);
  epp = std::move(*created);
  if (const std::string warning = upstream.warning(); !warning.empty()) log_warning(warning);
  for (const std::string& note : epp->pool().config().notes) log_info(note);
  log_info("picking on " + options->host + ":" + std::to_string(epp->grpc_port()) +
           " (ext_proc), health on " + std::to_string(epp->health_port()) + ", metrics on " +
           std::to_string(epp->metrics_port()) + ", " + endpoints_text(epp->pool().options().feeds) + ", " +
           std::to_string(options->threads) + " threads");
  const std::string open = open_ports_warning(
      options->host, {{"ext_proc", epp->grpc_port()},
                      {"health", epp->health_port()},
                      {"metrics", epp->metrics_port()}});
  if (!open.empty()) log_warning(open);
  (*loop)->run();
  return 0;
}

}  // namespace

void add_epp_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "epp", "Pick endpoints for Envoy or any Gateway API data plane, over ext_proc");
  auto flags = std::make_shared<EppFlags>();
  add_epp_flags(*command, *flags);
  const std::shared_ptr<UpstreamFlags> upstream = UpstreamFlags::add_to(*command);
  command->footer(
      "Example: kvasir epp --endpoints 10.0.0.1:8000,10.0.0.2:8000 --config-file epp.yaml "
      "--secure-serving=false");
  command->callback([flags, upstream, &exit_code] { exit_code = run_epp(*flags, *upstream); });
}

}  // namespace kvasir
