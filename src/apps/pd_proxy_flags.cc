#include "apps/pd_proxy_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <thread>
#include <utility>

#include "apps/duration_flag.h"
#include "net/io/flag_address.h"
#include "pdproxy/pd_workers.h"

namespace kvasir {
namespace {

constexpr uint16_t kUsualRegistrationPort = 30001;
// Workers register every 3 seconds: three of them may be lost.
constexpr double kRegistrationTtlLeast_s = 9;

void add_worker_flags(CLI::App& command, PdProxyFlags& flags) {
  command
      .add_option("--backend", flags.backend,
                  "How KV gets from a prefill worker to a decode worker: fs (a folder that both\n"
                  "see, vLLM's ExampleConnector) or p2p (P2pNcclConnector)")
      ->check(CLI::IsMember({"fs", "p2p"}))
      ->required();
  const auto add_list = [&command](const char* name, std::vector<std::string>& list,
                                   const char* variable, const char* help) {
    command.add_option(name, list, help)->envname(variable)->delimiter(',');
  };
  add_list("--prefill", flags.prefill, "PREFILL_URL", "Prefill workers: http://HOST:PORT");
  add_list("--decode", flags.decode, "DECODE_URL", "Decode workers: http://HOST:PORT");
  add_list("--prefill-name", flags.prefill_name, "PREFILL_ZMQ",
           "How request ids name them, in the same order. p2p: HOST:PORT of the worker's\n"
           "ZeroMQ socket (kv_port); fs: without a port, and without this flag the URL's host");
  add_list("--decode-name", flags.decode_name, "DECODE_ZMQ", "The same of decode workers");
  command
      .add_option("--registration-port", flags.registration_port,
                  "Where workers register themselves (proxy_ip and proxy_port of their\n"
                  "kv_connector_extra_config); 0: they do not. Without this flag 30001 with p2p,\n"
                  "unless prefill and decode workers are named")
      ->envname("REGISTRATION_PORT")
      ->check(CLI::Range(0, 65535));
  add_seconds_flag(command, "--registration-ttl", flags.registration_ttl_s,
                   "A registered worker that was not heard for so long is gone; they send every\n"
                   "3 seconds");
  add_seconds_flag(command, "--avoid-for", flags.avoid_for_s,
                   "A worker that failed is asked last for so long");
}

void add_prompt_flags(CLI::App& command, PdProxyFlags& flags) {
  command
      .add_option("--fs-max-prompt-tokens", flags.fs_max_prompt_tokens,
                  "The engines' --max-num-batched-tokens: of prompts that one step does not take\n"
                  "whole ExampleConnector stores the beginning only, which breaks the engine that\n"
                  "loads it. Longer ones are not transferred, and those under way at a prefill\n"
                  "worker have no more together; 0: no limit")
      ->capture_default_str();
  command
      .add_option("--fs-max-waiting", flags.fs_max_waiting,
                  "Requests that wait for such room at the prefill workers; beyond: 503")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  add_seconds_flag(command, "--fs-wait", flags.fs_wait_s, "How long each of them waits; then: 503");
  command
      .add_option("--fs-long-prompts", flags.fs_long_prompts,
                  "What becomes of longer ones: refuse (400), or decode-alone, for engines whose\n"
                  "decode workers store nothing")
      ->check(CLI::IsMember({"refuse", "decode-alone"}))
      ->capture_default_str();
}

// The workers of one role. `flag`: "--prefill".
Result<std::vector<PdNamedWorker>> named_workers(const std::string& flag,
                                                 const std::vector<std::string>& urls,
                                                 const std::vector<std::string>& names,
                                                 PdBackend backend) {
  if (!names.empty() && names.size() != urls.size()) {
    return Error{flag + "-name has " + std::to_string(names.size()) + " names and " + flag + " " +
                 std::to_string(urls.size()) + " URLs: name all workers or none, in their order"};
  }
  const bool is_p2p = backend == PdBackend::kP2p;
  std::vector<PdNamedWorker> workers;
  for (size_t i = 0; i < urls.size(); ++i) {
    Result<HostPort> address = parse_http_origin(urls[i]);
    if (!address) return Error{flag + ": " + address.error().message};
    std::string name = !names.empty() ? names[i] : is_p2p ? "" : address->host;
    const bool has_port = !names.empty() && parse_address(name, "HOST:PORT").ok();
    if (!names.empty() && (!is_pd_name(name) || has_port != is_p2p)) {
      return Error{flag + "-name: '" + name +
                   (is_p2p ? "' is not HOST:PORT of a worker's ZeroMQ socket"
                           : "' is not a name: letters, digits, '.', '-' and '_'; request ids of "
                             "--backend fs have no ports")};
    }
    workers.push_back({std::move(*address), std::move(name)});
  }
  return workers;
}

// Two workers that are called alike cannot be told apart by whoever reads the id.
Result<void> check_sockets(const PdProxyOptions& options) {
  std::set<std::string_view> names;
  for (const auto* const workers : {&options.prefill, &options.decode}) {
    for (const PdNamedWorker& worker : *workers) {
      if (worker.name.empty() || names.insert(worker.name).second) continue;
      return Error{"--prefill-name, --decode-name: '" + worker.name +
                   "' stands there twice; each worker has a ZeroMQ socket of its own"};
    }
  }
  return {};
}

Result<void> add_workers(const PdProxyFlags& flags, PdProxyOptions& options) {
  const PdBackend backend = options.backend;
  auto prefill = named_workers("--prefill", flags.prefill, flags.prefill_name, backend);
  if (!prefill) return prefill.error();
  auto decode = named_workers("--decode", flags.decode, flags.decode_name, backend);
  if (!decode) return decode.error();
  options.prefill = std::move(*prefill);
  options.decode = std::move(*decode);
  if (backend == PdBackend::kP2p) {
    if (const Result<void> checked = check_sockets(options); !checked) return checked.error();
  }
  const auto is_known = [](const PdNamedWorker& worker) { return !worker.name.empty(); };
  const auto are_known = [&is_known](const std::vector<PdNamedWorker>& workers) {
    return !workers.empty() && std::all_of(workers.begin(), workers.end(), is_known);
  };
  const bool all_known = are_known(options.prefill) && are_known(options.decode);
  if (!flags.registration_port.empty()) {
    options.registration_port = parse_port(flags.registration_port).value_or(0);
  } else if (backend == PdBackend::kP2p && !all_known) {
    options.registration_port = kUsualRegistrationPort;
  }
  if (options.registration_port != 0 || all_known) return {};
  if (options.prefill.empty() || options.decode.empty()) {
    const std::string flag =
        options.prefill.empty() ? "--prefill (PREFILL_URL)" : "--decode (DECODE_URL)";
    return Error{flag +
                 " is missing: give a worker's http://HOST:PORT, or let workers register "
                 "(--registration-port)"};
  }
  const auto lacks = [&is_known](const std::vector<PdNamedWorker>& workers) {
    return !std::all_of(workers.begin(), workers.end(), is_known);
  };
  std::string missing = lacks(options.prefill) ? "--prefill-name (PREFILL_ZMQ)" : "";
  if (lacks(options.decode)) {
    missing += std::string(missing.empty() ? "" : " and ") + "--decode-name (DECODE_ZMQ)";
  }
  return Error{missing +
               ": missing; the workers find each other by HOST:PORT of their ZeroMQ sockets "
               "(kv_port, usually 14579): name them, or let them register (--registration-port)"};
}

// A decode engine computes the prompt beside its other requests, so that a step may take a part.
Result<void> check_for_fs(const PdProxyFlags& flags) {
  const bool decoders_store = flags.fs_long_prompts != "decode-alone";
  if (flags.handoff.on_prefill_failure == "error" || flags.fs_max_prompt_tokens == 0 ||
      !decoders_store) {
    return {};
  }
  return Error{
      "--on-prefill-failure local-decode: with --backend fs ExampleConnector may store the "
      "beginning only of a prompt that a decode worker computes beside others, which breaks the "
      "engine that loads it; leave it out, or say that decode workers store nothing "
      "(--fs-long-prompts decode-alone) or whole prompts (--fs-max-prompt-tokens 0)"};
}

Result<void> check_for_p2p(const PdProxyFlags& flags) {
  if (flags.handoff.on_prefill_failure != "error") {
    return Error{
        "--on-prefill-failure local-decode: with --backend p2p a decode worker waits for "
        "ever for a prompt that nobody sends it; leave it out"};
  }
  if (flags.handoff.hedge_after_ms > 0) {
    return Error{
        "--hedge-after: with --backend p2p what the slower prefill worker sends would stay "
        "in the decode worker's memory; leave it out"};
  }
  return {};
}

}  // namespace

void add_pd_proxy_flags(CLI::App& command, PdProxyFlags& flags) {
  command.add_option("--host", flags.host, "Address to listen on")->capture_default_str();
  command.add_option("--port", flags.port, "Port to listen on")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  add_worker_flags(command, flags);
  add_prompt_flags(command, flags);
  add_prefill_flags(command, flags.handoff, "the least busy first");
  command.add_option("--max-body-mib", flags.body_mib, "The largest request body; beyond: 413")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command.add_option("--threads", flags.threads, "0: as many as there are processors");
  add_seconds_flag(command, "--drain-timeout", flags.drain_timeout_s,
                   "What running requests get after SIGTERM");
  add_seconds_flag(command, "--gather-interval", flags.gather_interval_s,
                   "Events of an answer that follow each other faster than this are passed on\n"
                   "together, this often; 0: each by itself");
  command
      .add_option("--access-log", flags.access_log,
                  "A line for each request that had two legs: true or false")
      ->default_str("true");
  command.add_option("--log-level", flags.log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
}

Result<PdProxyOptions> pd_proxy_options(const PdProxyFlags& flags) {
  PdProxyOptions options;
  options.host = flags.host;
  options.port = flags.port;
  options.backend = flags.backend == "p2p" ? PdBackend::kP2p : PdBackend::kFs;
  if (flags.registration_ttl_s < kRegistrationTtlLeast_s) {
    return Error{
        "--registration-ttl is below 9 seconds: workers register every 3 seconds, and "
        "three of them may be lost"};
  }
  options.registration_ttl = from_seconds(flags.registration_ttl_s);
  if (const Result<void> added = add_workers(flags, options); !added) return added.error();
  if (options.registration_port == options.port) {
    return Error{"--port and --registration-port are both " + std::to_string(options.port)};
  }
  const bool is_p2p = options.backend == PdBackend::kP2p;
  const Result<void> checked = is_p2p ? check_for_p2p(flags) : check_for_fs(flags);
  if (!checked) return checked.error();
  options.avoid_for = from_seconds(flags.avoid_for_s);
  options.fs_prompt_tokens_max = flags.fs_max_prompt_tokens;
  options.fs_waiting_max = flags.fs_max_waiting;
  options.fs_wait_max = from_seconds(flags.fs_wait_s);
  if (flags.fs_long_prompts == "decode-alone") {
    options.on_long_prompt = PdProxyOptions::OnLongPrompt::kDecodeAlone;
  }
  options.threads =
      flags.threads > 0 ? flags.threads : std::max(1u, std::thread::hardware_concurrency());
  options.handoff = handoff_options(flags.handoff);
  options.handoff.dialect = is_p2p ? KvDialect::kP2p : KvDialect::kFolder;
  options.server.body_bytes = flags.body_mib * 1024 * 1024;
  options.drain_timeout = from_seconds(flags.drain_timeout_s);
  options.client.gather_interval = from_seconds(flags.gather_interval_s);
  return options;
}

}  // namespace kvasir
