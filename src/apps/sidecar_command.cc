#include <CLI/CLI.hpp>
#include <csignal>
#include <memory>
#include <utility>

#include "apps/commands.h"
#include "apps/process_memory.h"
#include "apps/sidecar_flags.h"
#include "apps/sidecar_metrics.h"
#include "net/io/event_loop.h"
#include "net/io/signal_watcher.h"
#include "net/io/socket.h"
#include "sidecar/sidecar.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

constexpr const char* kSidecarExamples =
    R"(The pod's port is the sidecar's; the decode worker listens behind it on this machine:
  vllm serve MODEL --port 8200 --kv-transfer-config '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'
  kvasir sidecar --port 8000 --model-server-port 8200 --secure-proxy=false

A request with the field  x-prefiller-host-port: 10.0.0.7:8000  is prefilled there first. Flags of
llm-d's sidecar may have one dash: kvasir sidecar -port=8000 -vllm-port=8001 -connector=nixlv2)";

int run_sidecar(SidecarFlags flags, const UpstreamFlags& upstream) {
  set_log_component("sidecar");
  const Result<LogSettings> logging = log_settings(flags.zap);
  if (!logging) return fail_command("sidecar", 2, logging.error().message);
  set_log_encoding(logging->encoding);
  set_log_level(log_level_named(flags.log_level).value_or(logging->level));
  keep_freed_memory();
  raise_descriptor_limit();
  if (const Result<void> checked = upstream.check(); !checked) {
    return fail_command("sidecar", 2, checked.error().message);
  }
  if (const Result<void> settled = settle_allowlist_flags(flags.allowlist); !settled) {
    return fail_command("sidecar", 2, settled.error().message);
  }
  Result<SidecarOptions> options = sidecar_options(flags);
  if (!options) return fail_command("sidecar", 2, options.error().message);
  if (const std::string warning = upstream.warning(); !warning.empty()) log_warning(warning);
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) return fail_command("sidecar", 1, loop.error().message);
  SidecarMetrics metrics((*loop)->clock(), flags.handoff.connector, flags.kv_bytes_per_token);
  options->metrics_page = [&metrics](const SidecarState& state) { return metrics.page(state); };
  PrefillerAllowlist allowlist;
  std::unique_ptr<SidecarAllowlist> filled;
  if (flags.allowlist.enabled) {
    options->allowlist = &allowlist;
    auto started = SidecarAllowlist::start(**loop, flags.allowlist, allowlist);
    if (!started) return fail_command("sidecar", 1, started.error().message);
    filled = std::move(*started);
    log_info("allowlist: prefill workers come from " + filled->source());
  }
  std::unique_ptr<Sidecar> sidecar;
  Result<std::unique_ptr<SignalWatcher>> signals = SignalWatcher::create(
      **loop, {SIGINT, SIGTERM, SIGHUP}, [&loop, &sidecar, stopping = false](int) mutable {
        if (std::exchange(stopping, true)) return (*loop)->stop();
        log_info("stopping: running requests end, new ones are not taken");
        sidecar->drain([&loop] { (*loop)->stop(); });
      });
  if (!signals) return fail_command("sidecar", 1, signals.error().message);
  Result<std::unique_ptr<Sidecar>> created = Sidecar::create(**loop, *options, metrics);
  if (!created) return fail_command("sidecar", 1, created.error().message);
  sidecar = std::move(*created);
  log_info(std::string("serving on ") + (options->tls.serves ? "https://" : "http://") +
           to_string(HostPort{options->host, sidecar->port()}) +
           " in front of the decode worker at " + to_string(options->decoder) + ", connector " +
           flags.handoff.connector + ", " + std::to_string(options->threads) + " threads");
  log_info(
      "prefill_decision: a request with the field x-prefiller-host-port is prefilled there, any "
      "other one here");
  log_info("what goes wrong between the workers is logged as connector_error");
  (*loop)->run();
  return 0;
}

}  // namespace

void add_sidecar_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "sidecar", "Stand beside a decode worker: have prompts prefilled where the picker says");
  auto flags = std::make_shared<SidecarFlags>();
  add_sidecar_flags(*command, *flags);
  auto upstream = UpstreamFlags::add_to(*command, sidecar_upstream_flags());
  command->footer(kSidecarExamples);
  command->callback([flags, upstream, &exit_code] { exit_code = run_sidecar(*flags, *upstream); });
}

}  // namespace kvasir
