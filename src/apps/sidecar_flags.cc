#include "apps/sidecar_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <thread>

#include "apps/duration_flag.h"
#include "base/text.h"

namespace kvasir {
namespace {

using Effect = FlagEffect;

constexpr std::string_view kPlainText =
    "connections are not encrypted yet: leave it out, or put a TLS proxy in front";
constexpr std::string_view kNoEncoders = "there are no encode workers yet: leave it out";
constexpr std::string_view kNoMoriio = "MoRI-IO is not spoken yet: leave it out";

constexpr UpstreamFlag kFlags[] = {
    {"--port", Effect::kHonoured, "", "where the sidecar listens"},
    {"--vllm-port", Effect::kHonoured, "", "the older name of --model-server-port"},
    {"--model-server-port", Effect::kHonoured, "", "of the decode worker, on this machine"},
    {"--connector", Effect::kHonoured, "", "the older name of --kv-connector"},
    {"--kv-connector", Effect::kHonoured, "",
     "nixl, nixlv2, lmcache, shared-storage, sglang, offloading"},
    {"--ec-connector", Effect::kRefused, "", kNoEncoders},
    {"--data-parallel-size", Effect::kRefused, "1",
     "one rank only as yet: start a sidecar for each rank"},
    {"--prefiller-use-tls", Effect::kRefused, "false", kPlainText, true},
    {"--decoder-use-tls", Effect::kRefused, "false", kPlainText, true},
    {"--prefiller-tls-insecure-skip-verify", Effect::kWithoutEffect, "false",
     "there is no TLS to verify", true},
    {"--decoder-tls-insecure-skip-verify", Effect::kWithoutEffect, "false",
     "there is no TLS to verify", true},
    {"--enable-tls", Effect::kRefused, "", kPlainText},
    {"--tls-insecure-skip-verify", Effect::kWithoutEffect, "", "there is no TLS to verify"},
    {"--secure-proxy", Effect::kRefused, "false", kPlainText, true},
    {"--cert-path", Effect::kRefused, "", kPlainText},
    {"--enable-ssrf-protection", Effect::kRefused, "false",
     "there is no allowlist yet: keep the port on a trusted network", true},
    {"--inference-pool-namespace", Effect::kWithoutEffect, "", "it is of the allowlist"},
    {"--inference-pool-name", Effect::kWithoutEffect, "", "it is of the allowlist"},
    {"--inference-pool", Effect::kWithoutEffect, "", "it is of the allowlist"},
    {"--pool-group", Effect::kWithoutEffect, "", "it is of the allowlist"},
    {"--enable-prefiller-sampling", Effect::kRefused, "false",
     "candidates are tried in their order: leave it out", true},
    {"--max-idle-conns-per-host", Effect::kWithoutEffect, "1024",
     "as many as were needed are kept, 1,024 at most"},
    {"--decode-chunk-size", Effect::kRefused, "0", "an answer is decoded in one go: leave it out"},
    {"--configuration", Effect::kRefused, "", "there are flags only"},
    {"--configuration-file", Effect::kRefused, "", "there are flags only"},
    {"--prefill-max-retries", Effect::kWithoutEffect, "0",
     "the next candidate is asked, not the same again: --prefill-attempts"},
    {"--prefill-retry-backoff", Effect::kWithoutEffect, "200ms",
     "the next candidate is asked at once", false, true},
    {"--tracing", Effect::kWithoutEffect, "false", "no traces are sent yet", true},
    {"--metrics-port", Effect::kRefused, "0", "the sidecar has no metrics yet: leave it out"},
    {"--mooncake-bootstrap-port", Effect::kWithoutEffect, "8998", "mooncake is not spoken yet"},
    {"--p2p-connector-port", Effect::kHonoured, "", "of the offloading connector"},
    {"--enable-p2p-pull", Effect::kRefused, "false", "blocks are not pulled yet: leave it out",
     true},
    {"--moriio-write-mode", Effect::kRefused, "false", kNoMoriio, true},
    {"--moriio-parallel-dispatch", Effect::kRefused, "false", kNoMoriio, true},
    {"--moriio-parallel-decode-wait-timeout", Effect::kWithoutEffect, "30s", kNoMoriio, false,
     true},
    {"--moriio-decode-notify-port", Effect::kWithoutEffect, "61005", kNoMoriio},
    {"--moriio-prefill-notify-port", Effect::kWithoutEffect, "61005", kNoMoriio},
    {"--moriio-decode-handshake-port", Effect::kWithoutEffect, "6301", kNoMoriio},
    {"--moriio-prefill-handshake-port", Effect::kWithoutEffect, "6301", kNoMoriio},
    {"--moriio-local-pod-ip", Effect::kWithoutEffect, "", kNoMoriio},
    {"--moriio-tp-size", Effect::kWithoutEffect, "", kNoMoriio},
    {"--moriio-dp-size", Effect::kWithoutEffect, "", kNoMoriio},
    {"--moriio-dp-size-local", Effect::kWithoutEffect, "", kNoMoriio},
    {"--moriio-remote-hosts", Effect::kWithoutEffect, "", kNoMoriio},
    {"--moriio-decode-hosts", Effect::kWithoutEffect, "", kNoMoriio},
};

}  // namespace

std::span<const UpstreamFlag> sidecar_upstream_flags() {
  return kFlags;
}

void add_sidecar_flags(CLI::App& command, SidecarFlags& flags) {
  command.add_option("--host", flags.host, "Address to listen on")->capture_default_str();
  command.add_option("--port", flags.port, "Port to listen on")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  command
      .add_option("--model-server-port,--vllm-port", flags.model_server_port,
                  "Port of the decode worker on this machine; vLLM's sidecars of before July 2026\n"
                  "took 8001")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  add_handoff_flags(command, flags.handoff, "--kv-connector,--connector",
                    "they are named in x-prefiller-host-port");
  command.add_option("--max-body-mib", flags.body_mib, "The largest request body; beyond: 413")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command.add_option("--threads", flags.threads, "0: as many as there are processors");
  add_seconds_flag(command, "--drain-timeout", flags.drain_timeout_s,
                   "What running requests get after SIGTERM");
  command.add_option("--log-level", flags.log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
}

Result<SidecarOptions> sidecar_options(const SidecarFlags& flags) {
  SidecarOptions options;
  options.host = flags.host;
  options.port = flags.port;
  options.decoder = {"localhost", flags.model_server_port};
  if (flags.port == flags.model_server_port) {
    return Error{"--port and --model-server-port are both " + std::to_string(flags.port) +
                 ": the sidecar stands in front of the decode worker, on another port"};
  }
  options.threads =
      flags.threads > 0 ? flags.threads : std::max(1u, std::thread::hardware_concurrency());
  options.handoff = handoff_options(flags.handoff);
  options.server.body_bytes = flags.body_mib * 1024 * 1024;
  options.drain_timeout = from_seconds(flags.drain_timeout_s);
  return options;
}

std::vector<std::string> with_two_dashes(std::vector<std::string> arguments) {
  for (std::string& argument : arguments) {
    const bool has_one = argument.size() > 2 && argument[0] == '-' && is_letter(argument[1]);
    if (has_one && argument[2] != '=') argument.insert(argument.begin(), '-');
  }
  return arguments;
}

}  // namespace kvasir
