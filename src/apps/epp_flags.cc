#include "apps/epp_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <thread>

#include "apps/duration_flag.h"
#include "apps/engine_profile_flag.h"
#include "apps/number_checks.h"
#include "base/whole_file.h"
#include "net/io/flag_address.h"
#include "wire/quantity.h"

namespace kvasir {
namespace {

constexpr uint16_t kSeedPort = 9000;
constexpr size_t kSecretFileBytesMax = 4096;
constexpr Duration kSeedDeadline = std::chrono::milliseconds(100);

// HOST:PORT, optionally with labels behind it: HOST:PORT;role=proxy;zone=a
Result<Endpoint> parse_endpoint(const std::string& text) {
  std::istringstream parts(text);
  std::string part;
  std::getline(parts, part, ';');
  Result<HostPort> address = parse_host_port(part);
  if (!address) return Error{"--endpoints: " + address.error().message};
  Endpoint endpoint{to_string(*address), address->host, address->port, {}};
  while (std::getline(parts, part, ';')) {
    const size_t equals = part.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error{"--endpoints: '" + text + "': '" + part + "' is no LABEL=VALUE"};
    }
    endpoint.labels[part.substr(0, equals)] = part.substr(equals + 1);
  }
  return endpoint;
}

// NAME=PRIORITY
Result<std::map<std::string, int32_t, std::less<>>> parse_objectives(
    const std::vector<std::string>& texts) {
  std::map<std::string, int32_t, std::less<>> objectives;
  for (const std::string& text : texts) {
    const size_t equals = text.rfind('=');
    int32_t priority = 0;
    const char* end = text.data() + text.size();
    if (equals != std::string::npos && equals > 0) {
      const auto parsed = std::from_chars(text.data() + equals + 1, end, priority);
      if (parsed.ec == std::errc() && parsed.ptr == end) {
        objectives[text.substr(0, equals)] = priority;
        continue;
      }
    }
    return Error{"--objectives: '" + text + "' is no NAME=PRIORITY"};
  }
  return objectives;
}

Result<void> read_secret(const EppFlags& flags, ReplicaOptions& replicas) {
  if (flags.peers_secret_file.empty()) {
    const bool outside = replicas.peers_are_told || needs_secret(flags.host, replicas.peers);
    if (!shares(replicas) || !outside) return {};
    if (replicas.peers_are_told) {
      return Error{
          "--peers-service: whoever reaches the port could speak for a replica: give "
          "--peers-secret-file (openssl rand -hex 32 > FILE, in a Secret that all replicas mount)"};
    }
    return Error{
        "--peers: whoever reaches the port could speak for a replica: give --peers-secret-file "
        "(openssl rand -hex 32 > FILE), the same for all, or --host 127.0.0.1 and peers there"};
  }
  Result<std::string> secret = read_whole_file(flags.peers_secret_file, kSecretFileBytesMax);
  if (!secret) return Error{"--peers-secret-file: " + secret.error().message};
  while (!secret->empty() && std::isspace(static_cast<unsigned char>(secret->back()))) {
    secret->pop_back();
  }
  if (secret->size() < kReplicaSecretBytesMin) {
    return Error{"--peers-secret-file: " + flags.peers_secret_file + " has fewer than " +
                 std::to_string(kReplicaSecretBytesMin) + " bytes (openssl rand -hex 32 > FILE)"};
  }
  replicas.secret = std::move(*secret);
  return {};
}

// Upstream takes 10MiB and 25MB beside Kubernetes' own 10Mi and 25M.
std::optional<uint64_t> message_bytes(std::string text) {
  constexpr uint64_t kMost = 1ull << 30;
  if (text.ends_with('B') || text.ends_with('b')) text.pop_back();
  const std::optional<uint64_t> bytes = parse_quantity(text);
  return bytes && *bytes <= kMost ? bytes : std::nullopt;
}

constexpr const char* kSourceFlags = "--endpoints, --endpoints-file, --dns";

int flags_with_endpoints(const EppFlags& flags) {
  return !flags.endpoints.empty() + !flags.endpoints_file.empty() + !flags.dns.empty();
}

// When no flag says where the endpoints are, dataLayer.discovery of the configuration may.
Result<void> check_sources(const EppFlags& flags, PoolOptions& options) {
  options.no_endpoints = std::string("exactly one of ") + kSourceFlags +
                         ", --pool-name and --endpoint-selector says where the endpoints are, or "
                         "dataLayer.discovery of the configuration";
  const Result<std::optional<KubeChoice>> kube = epp_kube_choice(flags, options.config);
  if (!kube) return kube.error();
  const int sources = flags_with_endpoints(flags) + kube->has_value();
  options.endpoints_from_config = sources == 0 && !options.config_name.empty();
  if (sources == 1 || options.endpoints_from_config) return {};
  return Error{options.no_endpoints};
}

Result<void> read_feeds(const EppFlags& flags, FleetFeedsOptions& feeds) {
  for (const std::string& text : flags.endpoints) {
    Result<Endpoint> endpoint = parse_endpoint(text);
    if (!endpoint) return endpoint.error();
    feeds.endpoints.push_back(std::move(*endpoint));
  }
  feeds.endpoints_file = flags.endpoints_file;
  if (!flags.dns.empty()) {
    Result<HostPort> name = parse_host_port(flags.dns);
    if (!name) return Error{"--dns: " + name.error().message};
    feeds.dns = *name;
  }
  if (flags.dns_interval_s <= 0) return Error{"--dns-interval must be longer than 0"};
  feeds.dns_interval = from_seconds(flags.dns_interval_s);
  feeds.endpoints_max = flags.endpoints_max;
  Result<MonitorOptions> monitor = monitor_options(flags.health);
  if (!monitor) return monitor.error();
  feeds.monitor = std::move(*monitor);
  feeds.check_health = flags.health.checks;
  feeds.eject_outliers = flags.eject_outliers;
  return {};
}

Result<void> read_pool(const EppFlags& flags, PoolOptions& options) {
  if (Result<void> read = read_feeds(flags, options.feeds); !read) return read.error();
  options.refresh_metrics_interval =
      std::max(from_seconds(flags.refresh_metrics_interval_s), kRefreshIntervalLeast);
  if (!flags.config_file.empty() && !flags.config_text.empty()) {
    return Error{"--config-file and --config-text: only one of them can say it"};
  }
  options.config = flags.config_text;
  if (!flags.config_text.empty()) options.config_name = "--config-text";
  if (!flags.config_file.empty()) {
    Result<std::string> text = read_whole_file(flags.config_file, PoolOptions::kConfigBytesMax);
    if (!text) return Error{"--config-file: " + text.error().message};
    options.config = std::move(*text);
    options.config_name = options.config_file = flags.config_file;
  }
  if (Result<void> read = check_sources(flags, options); !read) return read.error();
  auto objectives = parse_objectives(flags.objectives);
  if (!objectives) return objectives.error();
  for (const auto& [name, priority] : *objectives) options.priorities.push_back(priority);
  options.priority_of = [known = std::move(*objectives)](std::string_view name) {
    const auto found = known.find(name);
    return found == known.end() ? std::nullopt : std::optional<int32_t>(found->second);
  };
  options.plugins.allow_alpha = flags.allow_experimental_plugins;
  options.plugins.metrics_half_life = from_seconds(flags.metrics_half_life_s);
  options.plugins.plugin_files = flags.plugins;
  Result<EngineProfile> profile = load_engine_profile(flags.engine_profile);
  if (!profile) return Error{"--engine-profile: " + profile.error().message};
  options.plugins.profile = *profile;
  options.plugins.hold_threshold = from_seconds(flags.hold_threshold_s);
  options.plugins.endpoints_per_pick = flags.endpoints_per_pick;
  return read_kv_flags(flags.kv, options);
}

}  // namespace

Result<std::optional<KubeChoice>> epp_kube_choice(const EppFlags& flags, std::string_view config) {
  OtherSources others;
  others.flags = flags_with_endpoints(flags);
  others.names = kSourceFlags;
  others.config_discovers = others.flags == 0 && config_discovers(config);
  others.pool_name_may_be_a_name = true;
  return kube_choice(flags.kube, others);
}

Result<EppOptions> epp_options(const EppFlags& flags) {
  EppOptions options;
  options.host = flags.host;
  options.grpc_port =
      flags.compat == "seed" && flags.grpc_port == options.grpc_port ? kSeedPort : flags.grpc_port;
  options.health_port = flags.health_port;
  options.metrics_port = flags.metrics_port;
  options.threads =
      flags.threads > 0 ? flags.threads : std::max(1u, std::thread::hardware_concurrency());
  if (Result<void> read = read_pool(flags, options.pool); !read) return read.error();
  options.body_bytes_max = flags.body_mib * 1024 * 1024;
  options.bodies_bytes_max = flags.bodies_mib * 1024 * 1024;
  if (!flags.message_bytes_max.empty()) {
    const std::optional<uint64_t> bytes = message_bytes(flags.message_bytes_max);
    if (!bytes) {
      return Error{"--grpc-max-recv-msg-size: '" + flags.message_bytes_max +
                   "' is no size such as 10MiB, of 1 GiB at most"};
    }
    if (*bytes > 0) options.grpc.message_bytes = *bytes;
  }
  options.drain_timeout = from_seconds(flags.drain_timeout_s);
  options.drain_delay = from_seconds(std::max(flags.drain_delay_s, 0.0));
  const bool tutorial = flags.compat == "seed" && flags.decision_deadline_s == 0;
  options.pool.journey.decision_deadline =
      tutorial ? kSeedDeadline : from_seconds(flags.decision_deadline_s);
  options.secure = flags.secure_serving;
  options.certificate_path = flags.certificate_path;
  options.certificate_reload = flags.certificate_reload;
  options.tls.cipher_suites = flags.tls_cipher_suites;
  if (!flags.tls_min_version.empty()) {
    Result<TlsVersion> version = parse_tls_version(flags.tls_min_version);
    if (!version) return Error{"--tls-min-version: " + version.error().message};
    options.tls.version_min = *version;
  }
  for (const std::string& text : flags.peers) {
    Result<HostPort> peer = parse_host_port(text);
    if (!peer) return Error{"--peers: " + peer.error().message};
    options.replicas.peers.push_back(std::move(*peer));
  }
  options.replicas.sync.interval = std::chrono::milliseconds(flags.peers_interval_ms);
  options.replicas.peers_are_told = !flags.kube.peers_service.empty();
  options.replicas.tls = flags.secure_serving;
  if (Result<void> read = read_secret(flags, options.replicas); !read) return read.error();
  if (flags.exact_port_subset) options.subset = SubsetMode::kPort;
  if (flags.disable_subset_filter) options.subset = SubsetMode::kIgnored;
  options.keep_control_headers = flags.keep_control_headers;
  options.answer_headers = flags.answer_headers;
  options.emit_scores = flags.emit_endpoint_scores;
  options.measure_answers = !flags.skip_answers;
  return options;
}

EppMetricsOptions epp_metrics_options(const EppFlags& flags) {
  EppMetricsOptions options;
  options.pool = flags.kube.pool_name.empty() ? "default" : flags.kube.pool_name;
  options.staleness = from_seconds(flags.metrics_staleness_s);
  options.streams = flags.grpc_stream_metrics;
  return options;
}

namespace {

void add_metrics_flags(CLI::App& command, EppFlags& flags) {
  add_upstream_duration_flag(
      command, "--metrics-staleness-threshold", flags.metrics_staleness_s,
      "Age from which an endpoint's metrics count no more for the pool's averages");
  command.add_flag("--enable-grpc-stream-metrics", flags.grpc_stream_metrics,
                   "Metrics of ext_proc streams");
}

}  // namespace

void add_epp_flags(CLI::App& command, EppFlags& flags) {
  command
      .add_option("--endpoints", flags.endpoints, "Endpoints, as HOST:PORT[;LABEL=VALUE...][,...]")
      ->delimiter(',');
  command.add_option("--endpoints-file", flags.endpoints_file,
                     "Endpoints from a file, read again when it changes (docs/EPP.md)");
  command.add_option("--dns", flags.dns, "Endpoints from a name's addresses, as NAME:PORT");
  add_seconds_flag(command, "--dns-interval", flags.dns_interval_s, "Between look-ups of the name");
  command
      .add_option("--max-endpoints", flags.endpoints_max,
                  "Endpoints at one time, of a file or a name; more are refused")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command.add_flag("--eject-outliers", flags.eject_outliers,
                   "Leave endpoints out for a while that answer badly though they are healthy");
  add_upstream_duration_flag(command, "--refresh-metrics-interval",
                             flags.refresh_metrics_interval_s,
                             "Between readings of an endpoint's metrics; 50ms at least");
  add_seconds_flag(
      command, "--metrics-half-life", flags.metrics_half_life_s,
      "Age at which a score from an endpoint's metrics counts half; 0: age does not count");
  command.add_option("--config-file", flags.config_file,
                     "An EndpointPickerConfig; kvasir config check FILE explains it\n"
                     "(default: queue 2, KV cache use 2, prefix cache 3)");
  command.add_option("--config-text", flags.config_text, "The same, as the text itself");
  command
      .add_option("--objectives", flags.objectives,
                  "Priorities that x-llm-d-inference-objective may name, as NAME=PRIORITY[,...]")
      ->delimiter(',');
  command
      .add_option("--grpc-port", flags.grpc_port,
                  "Port for ext_proc; 0 takes a free one, here and below")
      ->capture_default_str();
  command.add_option("--grpc-health-port", flags.health_port, "Port of the gRPC health service")
      ->capture_default_str();
  command.add_option("--metrics-port", flags.metrics_port, "Port of /metrics")
      ->capture_default_str();
  command.add_option("--host", flags.host, "Address to listen on")->capture_default_str();
  command
      .add_option("--compat", flags.compat,
                  "upstream, or seed: the tutorial's port 9000 and decisions within 100 ms")
      ->check(CLI::IsMember({"upstream", "seed"}))
      ->capture_default_str();
  add_seconds_flag(
      command, "--decision-deadline", flags.decision_deadline_s,
      "How long flow control may hold a request at most; then 429; 0: as its TTL says");
  add_seconds_flag(command, "--hold-threshold", flags.hold_threshold_s,
                   "Of predicted-cost-picker as the saturation detector: requests are held while\n"
                   "every endpoint has at least this much predicted work ahead of it")
      ->check(hold_threshold_check());
  // The flag alone means true; a value may stand behind it, with "=" or without.
  command
      .add_option("--secure-serving", flags.secure_serving,
                  "TLS on the ext_proc port, self-signed unless --cert-path; the health port is plain")
      ->expected(0, 1)
      ->capture_default_str();
  command.add_option("--cert-path", flags.certificate_path, "Folder of tls.crt and tls.key");
  command.add_flag("--enable-cert-reload", flags.certificate_reload,
                   "Read them again when they change");
  command.add_option("--tls-min-version", flags.tls_min_version, "1.2 (default) or 1.3");
  command
      .add_option("--tls-cipher-suites", flags.tls_cipher_suites,
                  "Cipher suites by their IANA names; default: OpenSSL's")
      ->delimiter(',');
  command.add_flag("--allow-experimental-plugins", flags.allow_experimental_plugins,
                   "Let the configuration name alpha plugins");
  command
      .add_option(
          "--plugin", flags.plugins,
          "A shared object with more plugin types (examples/plugin); may stand several times")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag("--disable-endpoint-subset-filter", flags.disable_subset_filter,
                   "Do not look at the gateway's subset hint");
  command.add_flag("--exact-port-subset", flags.exact_port_subset,
                   "Hold a subset's entries against address and port, not the address alone");
  command.add_flag("--emit-endpoint-scores", flags.emit_endpoint_scores,
                   "Tell the gateway the score of every candidate");
  command
      .add_option("--endpoints-per-pick", flags.endpoints_per_pick,
                  "Endpoints to name for a request: the pick and what to try after it")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  command.add_flag("--keep-control-headers", flags.keep_control_headers,
                   "Let headers through by which a client could choose endpoints itself");
  command.add_flag("--answer-headers", flags.answer_headers,
                   "Tell clients x-selected-pod, x-cache-hit, x-cache-prefix-length, "
                   "x-cache-knowledge,\nx-scheduling-time-ms");
  command.add_flag("--skip-answers", flags.skip_answers,
                   "Measure no answers: when neither a plugin nor flow control needs them, they\n"
                   "pass by the picker");
  command
      .add_option("--peers,--peers-dns", flags.peers,
                  "Replicas of this picker to share load and sessions with, as\n"
                  "HOST:PORT[,...] of their --grpc-port; every address of a name counts\n"
                  "(a headless service), this process is recognized among them")
      ->delimiter(',');
  command.add_option("--peers-secret-file", flags.peers_secret_file,
                     "A file with the secret by which replicas know each other (16 bytes or more);\n"
                     "needed unless all of them are on 127.0.0.1");
  command
      .add_option("--peers-interval", flags.peers_interval_ms,
                  "Between news to the peers (milliseconds, or with a unit: 100ms)")
      ->transform(as_milliseconds())
      ->check(CLI::Range(10, 400))
      ->capture_default_str();
  command.add_option("--grpc-max-recv-msg-size", flags.message_bytes_max,
                     "Longest ext_proc message, such as 10MiB; default: 64Mi");
  command.add_option("--threads", flags.threads, "Threads (default: one for each core)")
      ->check(CLI::Range(0, kThreadsMost));
  command.add_option("--max-body-mib", flags.body_mib, "Largest request body; beyond it 413")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command
      .add_option("--max-bodies-mib", flags.bodies_mib,
                  "Bodies of all requests together, until they are decided on; beyond it 429")
      ->check(CLI::Range(1, 1048576))
      ->capture_default_str();
  add_upstream_duration_flag(command, "--drain-timeout", flags.drain_timeout_s,
                             "What running streams get after SIGTERM");
  add_drain_delay_flag(command, flags.drain_delay_s,
                       "After SIGTERM, how long new streams are still taken while health says\n"
                       "NOT_SERVING");
  add_health_flags(command, flags.health);
  add_engine_profile_flag(command, flags.engine_profile, "What cost plugins predict with");
  add_zap_flags(command, flags.log);
  add_decision_log_flags(command, flags.decision_log);
  add_metrics_flags(command, flags);
  add_kv_flags(command, flags.kv, "endpoints");
  add_kube_flags(command, flags.kube, true);
}

}  // namespace kvasir
