#include "apps/sidecar_flags.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <thread>

#include "apps/duration_flag.h"
#include "base/text.h"

namespace kvasir {
namespace {

using Effect = FlagEffect;

constexpr std::string_view kNoEncoders = "there are no encode workers yet: leave it out";
constexpr std::string_view kNoMoriio = "MoRI-IO is not spoken yet: leave it out";

constexpr UpstreamFlag kFlags[] = {
    {"--port", Effect::kHonoured, "", "where the sidecar listens"},
    {"--vllm-port", Effect::kHonoured, "", "the older name of --model-server-port"},
    {"--model-server-port", Effect::kHonoured, "", "of the decode worker, on this machine"},
    {"--connector", Effect::kHonoured, "", "the older name of --kv-connector"},
    {"--kv-connector", Effect::kHonoured, "",
     "nixl, nixlv2, lmcache, shared-storage, sglang, mooncake, offloading; p2p is ours"},
    {"--ec-connector", Effect::kRefused, "", kNoEncoders},
    {"--data-parallel-size", Effect::kHonoured, "",
     "a port for each rank: rank i is --port + i, in front of --model-server-port + i"},
    {"--prefiller-use-tls", Effect::kHonoured, "", "the older name of --enable-tls prefiller"},
    {"--decoder-use-tls", Effect::kHonoured, "", "the older name of --enable-tls decoder"},
    {"--prefiller-tls-insecure-skip-verify", Effect::kHonoured, "",
     "the older name of --tls-insecure-skip-verify prefiller"},
    {"--decoder-tls-insecure-skip-verify", Effect::kHonoured, "",
     "the older name of --tls-insecure-skip-verify decoder"},
    {"--enable-tls", Effect::kHonoured, "", "to whom connections are encrypted: prefiller, decoder"},
    {"--tls-insecure-skip-verify", Effect::kHonoured, "", "whose certificates are not checked"},
    {"--secure-proxy", Effect::kHonoured, "", "clients speak TLS; the default, as upstream's"},
    {"--cert-path", Effect::kHonoured, "", "tls.crt and tls.key, read again when they change"},
    {"--enable-ssrf-protection", Effect::kHonoured, "", "only the allowlist's prefill workers"},
    {"--inference-pool-namespace", Effect::kHonoured, "", "of the allowlist's InferencePool"},
    {"--inference-pool-name", Effect::kHonoured, "", "the allowlist's InferencePool"},
    {"--inference-pool", Effect::kHonoured, "", "both in one"},
    {"--pool-group", Effect::kHonoured, "", "its API group"},
    {"--enable-prefiller-sampling", Effect::kHonoured, "",
     "any of the candidates is asked first, not the first one"},
    {"--max-idle-conns-per-host", Effect::kHonoured, "",
     "unused connections to one worker that are kept"},
    {"--decode-chunk-size", Effect::kRefused, "0", "an answer is decoded in one go: leave it out"},
    {"--configuration", Effect::kHonoured, "", "flags as YAML: their names are the keys"},
    {"--configuration-file", Effect::kHonoured, "", "the same in a file; the command line wins"},
    {"--prefill-max-retries", Effect::kHonoured, "",
     "a candidate that cannot be reached or answers 502, 503 or 504 is asked again"},
    {"--prefill-retry-backoff", Effect::kHonoured, "", "before that"},
    {"--tracing", Effect::kHonoured, "",
     "each leg gets a traceparent with a span of its own; spans are not exported"},
    {"--metrics-port", Effect::kHonoured, "", "the sidecar's own metrics alone"},
    {"--mooncake-bootstrap-port", Effect::kHonoured, "", "of prefill workers, with mooncake"},
    {"--p2p-connector-port", Effect::kHonoured, "", "of the offloading connector"},
    {"--enable-p2p-pull", Effect::kHonoured, "",
     "with nixlv2, too, x-kv-cache-source-host-port says where a prompt is cached"},
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

void add_connector_flags(CLI::App& command, SidecarFlags& flags) {
  flags.handoff.of_sidecar = true;
  add_handoff_flags(command, flags.handoff, "--kv-connector,--connector",
                    "they are named in x-prefiller-host-port");
  command.get_option("--p2p-connector-port")->envname("P2P_CONNECTOR_PORT");
  const auto add_port = [&command](const char* name, uint16_t& port, const char* variable,
                                   const char* help) {
    command.add_option(name, port, help)
        ->check(CLI::Range(1, 65535))
        ->envname(variable)
        ->capture_default_str();
  };
  add_port("--mooncake-bootstrap-port", flags.handoff.mooncake_port, "MOONCAKE_BOOTSTRAP_PORT",
           "Of prefill workers, with mooncake: GET /query says which engine they are");
  add_port("--sglang-bootstrap-port", flags.handoff.sglang_port, "SGLANG_BOOTSTRAP_PORT",
           "Of prefill workers, with sglang");
  add_port("--p2p-kv-port", flags.p2p_port, "",
           "kv_port of P2pNcclConnector on all workers, with p2p; needs --pod-ip");
  command.add_flag("--enable-p2p-pull", flags.nixl_pulls,
                   "With nixlv2, too: x-kv-cache-source-host-port names a worker that has more of\n"
                   "the prompt in its cache, and the prefill worker is told");
}

void add_pod_flags(CLI::App& command, SidecarFlags& flags) {
  command
      .add_option("--data-parallel-size", flags.data_parallel_size,
                  "Ranks of the decode worker: rank i listens on --port + i, and is relayed to\n"
                  "--model-server-port + i")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command
      .add_option("--pod-ip", flags.pod_ip,
                  "This pod's address, by which x-data-parallel-host-port names its ranks")
      ->envname("POD_IP");
  command
      .add_option("--pod-name", flags.pod_name,
                  "What the field x-decode-pod says; without it the host's name")
      ->envname("POD_NAME");
}

void add_answer_flags(CLI::App& command, SidecarFlags& flags) {
  command
      .add_option("--usage-cached-tokens", flags.cached_tokens,
                  "Whose cached_tokens an answer's usage has: prefill (to the decode worker all\n"
                  "of the prompt was cached), or decode")
      ->check(CLI::IsMember({"prefill", "decode"}))
      ->capture_default_str();
  add_seconds_flag(command, "--gather-interval", flags.gather_interval_s,
                   "Events of an answer that follow each other faster than this are passed on\n"
                   "together, this often; 0: each by itself");
  command.add_flag("--first-token-from-prefill", flags.first_token,
                   "Streams of requests with temperature 0 begin with the prefill worker's token,\n"
                   "before the decode worker has the KV; docs/SIDECAR.md says what that costs");
  command.add_flag("--timing-trailers", flags.timing_trailers,
                   "Streams end with trailer fields: x-decode-time-ms, x-total-time-ms,\n"
                   "x-tokens-generated");
  command.add_flag("--timing-comment", flags.timing_comment,
                   "The same as a comment behind a stream's last event");
  command.add_flag("--tracing", flags.tracing,
                   "Each leg gets a traceparent of the client's trace with a span of its own;\n"
                   "without it the client's goes on as it is");
}

void add_prefiller_flags(CLI::App& command, SidecarFlags& flags) {
  command
      .add_flag("--enable-prefiller-sampling", flags.samples_prefillers,
                "Any of the prefill workers in x-prefiller-host-port is asked first, not the\n"
                "first one")
      ->envname("ENABLE_PREFILLER_SAMPLING");
  command
      .add_option("--prefill-max-retries", flags.handoff.retries,
                  "How often a prefill worker is asked again that cannot be reached or answers\n"
                  "502, 503 or 504, before the next one is")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  command
      .add_option("--max-idle-conns-per-host", flags.idle_connections,
                  "Unused connections to one worker that each thread keeps")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  add_upstream_duration_flag(command, "--prefill-retry-backoff", flags.handoff.retry_backoff_s,
                             "Before the same prefill worker is asked again");
}

void add_tls_flags(CLI::App& command, SidecarTlsFlags& flags) {
  constexpr const char* kGroup = "TLS";
  command
      .add_option("--secure-proxy", flags.secure_proxy,
                  "Clients speak TLS, as upstream's sidecar has it by default; false: plain HTTP")
      ->expected(0, 1)
      ->default_str("true")
      ->group(kGroup);
  command
      .add_option("--cert-path", flags.cert_path,
                  "Folder of tls.crt and tls.key, read again when they change; without it a\n"
                  "self-signed certificate")
      ->group(kGroup);
  command
      .add_option("--enable-tls", flags.enable_tls,
                  "To whom connections are encrypted: prefiller, decoder")
      ->delimiter(',')
      ->check(CLI::IsMember({"prefiller", "decoder"}))
      ->group(kGroup);
  command
      .add_option("--tls-insecure-skip-verify", flags.insecure_skip_verify,
                  "Whose certificates are not checked: prefiller, decoder")
      ->delimiter(',')
      ->check(CLI::IsMember({"prefiller", "decoder"}))
      ->group(kGroup);
  command.add_flag("--prefiller-use-tls", flags.prefiller_use_tls, "As --enable-tls prefiller")
      ->group(kGroup);
  command.add_flag("--decoder-use-tls", flags.decoder_use_tls, "As --enable-tls decoder")
      ->group(kGroup);
  command
      .add_flag("--prefiller-tls-insecure-skip-verify", flags.prefiller_skip_verify,
                "As --tls-insecure-skip-verify prefiller")
      ->group(kGroup);
  command
      .add_flag("--decoder-tls-insecure-skip-verify", flags.decoder_skip_verify,
                "As --tls-insecure-skip-verify decoder")
      ->group(kGroup);
  command
      .add_option("--tls-ca-file", flags.ca_file,
                  "Whom to believe when a worker shows a certificate, PEM; without it the\n"
                  "system's. A worker's certificate must be for the address that is asked")
      ->group(kGroup);
}

bool names(const std::vector<std::string>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

SidecarTlsOptions tls_options(const SidecarTlsFlags& flags) {
  SidecarTlsOptions options;
  options.serves = flags.secure_proxy;
  options.certificate_folder = flags.cert_path;
  options.to_prefillers = flags.prefiller_use_tls || names(flags.enable_tls, "prefiller");
  options.to_decoder = flags.decoder_use_tls || names(flags.enable_tls, "decoder");
  options.checks_prefillers =
      !flags.prefiller_skip_verify && !names(flags.insecure_skip_verify, "prefiller");
  options.checks_decoder =
      !flags.decoder_skip_verify && !names(flags.insecure_skip_verify, "decoder");
  options.ca_file = flags.ca_file;
  return options;
}

// Of a pod that is its name.
std::string this_hosts_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "";
}

// The sidecar's ports and the decode worker's are side by side, one for each rank.
Result<void> check_ports(const SidecarFlags& flags) {
  const uint32_t ranks = flags.data_parallel_size;
  const auto is_ours = [&](uint32_t port) {
    return port >= flags.port && port < flags.port + ranks;
  };
  const std::string ports =
      ranks == 1 ? std::to_string(flags.port)
                 : std::to_string(flags.port) + " to " + std::to_string(flags.port + ranks - 1);
  for (uint32_t rank = 0; rank < ranks; ++rank) {
    if (!is_ours(flags.model_server_port + rank)) continue;
    return Error{"--port and --model-server-port are both " +
                 std::to_string(flags.model_server_port + rank) +
                 ": the sidecar stands in front of the decode worker, on another port" +
                 (ranks == 1 ? "" : " for each rank")};
  }
  if (flags.metrics_port > 0 && is_ours(flags.metrics_port)) {
    return Error{"--metrics-port is " + std::to_string(flags.metrics_port) + ", and --port has " +
                 ports};
  }
  const uint32_t last = std::max(flags.port, flags.model_server_port) + ranks - 1;
  if (last > 65535) return Error{"--data-parallel-size: port " + std::to_string(last) + " is none"};
  return {};
}

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
  add_connector_flags(command, flags);
  add_prefiller_flags(command, flags);
  add_pod_flags(command, flags);
  add_tls_flags(command, flags.tls);
  add_sidecar_allowlist_flags(command, flags.allowlist);
  add_answer_flags(command, flags);
  // Taken out of the command line before it is parsed: with_configuration().
  command.add_option("--configuration", flags.configuration,
                     "These flags as YAML ('port: 8000'), names without dashes. The command line\n"
                     "wins over it, and it wins over variables of the environment");
  command.add_option("--configuration-file", flags.configuration, "The same in a file");
  command.add_option("--max-body-mib", flags.body_mib, "The largest request body; beyond: 413")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command
      .add_option("--metrics-port", flags.metrics_port,
                  "Port with the sidecar's own metrics alone; 0: none. On --port /metrics is the\n"
                  "decode worker's page and then ours")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  command
      .add_option("--kv-bytes-per-token", flags.kv_bytes_per_token,
                  "Of the model's KV cache, to count bytes handed over: 327680 for a Llama 3 70B\n"
                  "in bf16; 0: only what the decode worker measures is told")
      ->check(CLI::Range(uint64_t{0}, uint64_t{1} << 32))
      ->capture_default_str();
  command.add_option("--threads", flags.threads, "0: as many as there are processors");
  add_seconds_flag(command, "--drain-timeout", flags.drain_timeout_s,
                   "What running requests get after SIGTERM");
  command.add_option("--log-level", flags.log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->default_str("info");
  add_zap_flags(command, flags.zap);
}

Result<SidecarOptions> sidecar_options(const SidecarFlags& flags) {
  SidecarOptions options;
  options.host = flags.host;
  options.port = flags.port;
  options.decoder = {"localhost", flags.model_server_port};
  options.threads =
      flags.threads > 0 ? flags.threads : std::max(1u, std::thread::hardware_concurrency());
  options.handoff = handoff_options(flags.handoff);
  options.p2p_port = flags.p2p_port;
  if (options.handoff.dialect == KvDialect::kP2p && flags.pod_ip.empty()) {
    return Error{"--kv-connector p2p: --pod-ip (POD_IP) is missing; prefill workers send KV there"};
  }
  options.tls = tls_options(flags.tls);
  options.nixl_pulls = flags.nixl_pulls;
  options.client.idle_connections = flags.idle_connections;
  options.client.gather_interval = from_seconds(flags.gather_interval_s);
  options.samples_prefillers = flags.samples_prefillers;
  options.pod_ip = flags.pod_ip;
  options.pod_name = flags.pod_name.empty() ? this_hosts_name() : flags.pod_name;
  options.data_parallel_size = flags.data_parallel_size;
  if (Result<void> checked = check_ports(flags); !checked) return checked.error();
  options.answer.prefill_cached_tokens = flags.cached_tokens == "prefill";
  options.answer.first_token = flags.first_token;
  options.answer.timing_trailers = flags.timing_trailers;
  options.answer.timing_comment = flags.timing_comment;
  options.answer.trace = flags.tracing;
  options.metrics_port = flags.metrics_port;
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
