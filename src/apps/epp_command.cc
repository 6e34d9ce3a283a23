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
#include "apps/kube_session.h"
#include "apps/kv_flags.h"
#include "apps/open_ports.h"
#include "apps/process_memory.h"
#include "epp/epp.h"
#include "net/io/event_loop.h"
#include "net/io/signal_watcher.h"
#include "net/io/socket.h"
#include "net/io/socket_address.h"
#include "replicas/replicas.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

// `kube`: null when the endpoints are no pods.
std::string endpoints_text(const FleetFeedsOptions& feeds, const KubeSession* kube) {
  if (kube != nullptr) return "endpoints of " + kube->text();
  if (feeds.dns) return "endpoints of " + to_string(*feeds.dns);
  if (!feeds.endpoints_file.empty()) return "endpoints of " + feeds.endpoints_file;
  return std::to_string(feeds.endpoints.size()) + " endpoints";
}

// Null: the flags do not ask for pods. Else the picker's endpoints come from it.
Result<std::unique_ptr<KubeSession>> kube_session(EventLoop& loop, const EppFlags& flags,
                                                  EppOptions& options) {
  Result<std::optional<KubeChoice>> choice = epp_kube_choice(flags, options.pool.config);
  if (!choice) return choice.error();
  if (!choice->has_value()) return std::unique_ptr<KubeSession>();
  Result<std::unique_ptr<KubeSession>> session =
      KubeSession::open(loop, std::move(**choice),
                        {.program = "epp", .node_labels = config_reads_nodes(options.pool.config)});
  if (!session) return session.error();
  KubeSession& kube = **session;
  kube.feed(options.pool.feeds);
  if (kube.elects()) options.leads = [&kube] { return kube.leads(); };
  if (MetricsAccess* access = kube.access()) {
    options.authorize_metrics = [access](std::string_view authorization,
                                         std::function<void(int status)> done) {
      access->ask(authorization, std::move(done));
    };
  }
  if (flags.drain_delay_s < 0) options.drain_delay = kKubeDrainDelay;
  return session;
}

void serve_kube(KubeSession& kube, Epp& epp, EppMetrics& metrics) {
  kube.serve(epp.pool());
  metrics.tell_refused_configurations(
      [&kube](std::string_view error) { kube.on_configuration_refused(error); });
  if (epp.replicas() == nullptr || !epp.options().replicas.peers_are_told) return;
  kube.follow_peers([&epp](const std::vector<std::string>& hosts) {
    std::vector<SocketAddress> addresses;
    for (const std::string& host : hosts) {
      const auto address = literal_address(host);
      if (address) addresses.push_back(with_port(*address, epp.grpc_port()));
    }
    epp.replicas()->set_addresses(std::move(addresses));
  });
}

// Ends the loop when running streams have ended and the lease, if there is one, was let go: at
// once, so that another replica serves meanwhile.
void stop_epp(EventLoop& loop, Epp& epp, KubeSession* kube) {
  const auto one_is_done = [&loop, left = std::make_shared<int>(kube != nullptr ? 2 : 1)] {
    if (--*left == 0) loop.stop();
  };
  epp.drain(one_is_done);
  if (kube != nullptr) kube->release(one_is_done);
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
  Result<std::unique_ptr<KubeSession>> kube = kube_session(**loop, flags, *options);
  if (!kube) return fail_command("epp", 2, kube.error().message);
  Result<std::unique_ptr<DecisionLog>> log =
      decision_log(flags.decision_log, "epp", logging->encoding);
  if (!log) return fail_command("epp", 2, log.error().message);
  EppMetricsOptions metrics_options = epp_metrics_options(flags);
  metrics_options.version = KVASIR_VERSION;
  if (*kube != nullptr) metrics_options.pool = (*kube)->pool_name();
  EppMetrics metrics(std::move(metrics_options), (*loop)->clock(), log->get());
  std::unique_ptr<Epp> epp;
  Result<std::unique_ptr<SignalWatcher>> signals = SignalWatcher::create(
      **loop, {SIGINT, SIGTERM, SIGHUP}, [&loop, &epp, &kube, stopping = false](int) mutable {
        if (std::exchange(stopping, true)) return (*loop)->stop();
        log_info(stopping_text("streams", epp->options().drain_delay));
        stop_epp(**loop, *epp, kube->get());
      });
  if (!signals) return fail_command("epp", 1, signals.error().message);
  const auto page = [&metrics, &epp, &kube] {
    const PoolStats stats = epp->pool().stats();
    return metrics.page(*epp->pool().snapshot(), stats.flow_control ? &stats.flow : nullptr,
                        stats.plugins) +
           (stats.kv ? kv_page(*stats.kv) : "") + (*kube != nullptr ? (*kube)->page() : "");
  };
  Result<std::unique_ptr<Epp>> created = Epp::create(**loop, *options, metrics, page);
  if (!created) {
    if (*kube != nullptr) (*kube)->tell_start_refused(created.error().message);
    return fail_command("epp", options->pool.config_name.empty() ? 1 : 2, created.error().message);
  }
  epp = std::move(*created);
  if (*kube != nullptr) serve_kube(**kube, *epp, metrics);
  if (const std::string warning = upstream.warning(); !warning.empty()) log_warning(warning);
  for (const std::string& note : epp->pool().config().notes) log_info(note);
  const std::string unused = unused_kv_flags(flags.kv);
  if (!unused.empty() && !epp->pool().stats().kv) log_warning(unused);
  log_info("picking on " + options->host + ":" + std::to_string(epp->grpc_port()) +
           " (ext_proc), health on " + std::to_string(epp->health_port()) + ", metrics on " +
           std::to_string(epp->metrics_port()) + ", " +
           endpoints_text(epp->pool().options().feeds, kube->get()) + ", " +
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
  const std::shared_ptr<UpstreamFlags> upstream =
      UpstreamFlags::add_to(*command, epp_upstream_flags());
  command->footer(
      "Example: kvasir epp --endpoints 10.0.0.1:8000,10.0.0.2:8000 --config-file epp.yaml "
      "--secure-serving=false");
  command->callback([flags, upstream, &exit_code] { exit_code = run_epp(*flags, *upstream); });
}

}  // namespace kvasir
