#include <CLI/CLI.hpp>
#include <csignal>
#include <memory>
#include <utility>

#include "apps/commands.h"
#include "apps/log_flags.h"
#include "apps/pd_proxy_flags.h"
#include "apps/pd_proxy_metrics.h"
#include "apps/process_memory.h"
#include "net/io/event_loop.h"
#include "net/io/signal_watcher.h"
#include "net/io/socket.h"
#include "pdproxy/pd_proxy.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

constexpr const char* kPdProxyExamples =
    R"(Examples:
  kvasir pd-proxy --backend fs --prefill http://127.0.0.1:8001 --decode http://127.0.0.1:8002
  kvasir pd-proxy --backend p2p --prefill http://vllm-prefill-p2p:8000 --prefill-name vllm-prefill-p2p:14579 \
                  --decode http://vllm-decode-p2p:8000 --decode-name vllm-decode-p2p:14579
  kvasir pd-proxy --backend p2p                 workers register themselves on port 30001
  curl localhost:8080/v1/completions -H 'Content-Type: application/json' \
       -d '{"model": "Qwen/Qwen3-32B", "prompt": "Hello", "max_tokens": 5}'

The answer's id names both workers: cmpl-___prefill_addr_...___decode_addr_..._... Lists have commas.
PREFILL_URL, DECODE_URL, PREFILL_ZMQ, DECODE_ZMQ and REGISTRATION_PORT stand for --prefill, --decode,
--prefill-name, --decode-name and --registration-port. docs/PD_PROXY.md has a pair to paste.)";

std::string words_of(const std::vector<PdNamedWorker>& workers) {
  std::string words;
  for (const PdNamedWorker& worker : workers) {
    words += (words.empty() ? "" : ", ") + to_string(worker.address);
    words += " (" + (worker.name.empty() ? "when it has registered" : worker.name) + ")";
  }
  return words.empty() ? "none named" : words;
}

int run_pd_proxy(const PdProxyFlags& flags) {
  set_log_component("pd-proxy");
  set_log_level(log_level_named(flags.log_level).value_or(LogLevel::kInfo));
  keep_freed_memory();
  raise_descriptor_limit();
  Result<PdProxyOptions> options = pd_proxy_options(flags);
  if (!options) return fail_command("pd-proxy", 2, options.error().message);
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) return fail_command("pd-proxy", 1, loop.error().message);
  PdProxyMetrics metrics(flags.access_log);
  std::unique_ptr<PdProxy> proxy;
  Result<std::unique_ptr<SignalWatcher>> signals = SignalWatcher::create(
      **loop, {SIGINT, SIGTERM, SIGHUP}, [&loop, &proxy, stopping = false](int) mutable {
        if (std::exchange(stopping, true)) return (*loop)->stop();
        log_info("stopping: finishing running requests, refusing new ones");
        proxy->drain([&loop] { (*loop)->stop(); });
      });
  if (!signals) return fail_command("pd-proxy", 1, signals.error().message);
  Result<std::unique_ptr<PdProxy>> created = PdProxy::create(**loop, *options, metrics);
  if (!created) return fail_command("pd-proxy", 1, created.error().message);
  proxy = std::move(*created);
  log_info("serving on http://" + to_string(HostPort{options->host, proxy->port()}) + ", backend " +
           flags.backend + ", prefill workers: " + words_of(options->prefill) +
           "; decode workers: " + words_of(options->decode));
  if (proxy->registration_port() != 0) {
    log_info("workers register on port " + std::to_string(proxy->registration_port()));
  }
  (*loop)->run();
  return 0;
}

}  // namespace

void add_pd_proxy_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "pd-proxy", "Stand before prefill and decode workers: choose a pair and carry both legs");
  auto flags = std::make_shared<PdProxyFlags>();
  add_pd_proxy_flags(*command, *flags);
  command->footer(kPdProxyExamples);
  command->callback([flags, &exit_code] { exit_code = run_pd_proxy(*flags); });
}

}  // namespace kvasir
