#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <map>
#include <thread>

#include "apps/access_log.h"
#include "apps/apart_config.h"
#include "apps/commands.h"
#include "apps/decision_log_flags.h"
#include "apps/duration_flag.h"
#include "apps/engine_profile_flag.h"
#include "apps/gateway_metrics.h"
#include "apps/gateway_tls_flags.h"
#include "apps/handoff_flags.h"
#include "apps/header_route_flag.h"
#include "apps/health_flags.h"
#include "apps/kube_session.h"
#include "apps/kv_flags.h"
#include "apps/log_flags.h"
#include "apps/number_checks.h"
#include "apps/open_ports.h"
#include "apps/pools_metrics.h"
#include "apps/process_memory.h"
#include "apps/resilience_flags.h"
#include "apps/route_session.h"
#include "apps/tenant_session.h"
#include "base/whole_file.h"
#include "config/presets.h"
#include "gateway/gateway.h"
#include "net/io/event_loop.h"
#include "net/io/flag_address.h"
#include "net/io/signal_watcher.h"
#include "net/io/socket.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

struct GatewayFlags {
  std::string host = "127.0.0.1";
  uint16_t port = 8000;
  std::vector<std::string> worker_urls, prefill_urls, decode_urls;
  std::string endpoints_file;
  std::string dns;
  double dns_interval_s = 5;
  size_t endpoints_max = 1024;
  bool eject_outliers = true;
  bool retry_on_5xx = true;
  uint32_t closed_retries = 1;
  double refresh_metrics_interval_ms = 50;
  std::string policy;
  std::string config;
  bool allow_experimental_plugins = false;
  bool hold = false;
  bool no_hold = false;  // neither: with kv
  double max_hold_s = 60;
  double hold_threshold_s = to_seconds(kHoldThreshold);
  std::vector<std::string> objectives;
  std::vector<std::string> plugins;
  std::string engine_profile{kDefaultEngineProfile};
  double time_scale = 1;
  uint32_t threads = 0;
  size_t body_mib = 64;
  size_t bodies_mib = 0;  // 0: enough for a few of body_mib
  double body_timeout_s = 300;
  size_t header_kib = 128;  // vLLM takes heads of 70 kB
  double first_byte_timeout_s = 600;
  double idle_timeout_s = 300;
  double gather_interval_s = 0.001;
  double drain_timeout_s = 30;
  HealthFlags health;
  HandoffFlags handoff;
  std::string prefill_by = "gateway";
  bool strip_handoffs = true;
  std::vector<std::string> header_routes;
  std::vector<std::string> cors_origins;
  uint32_t attempts = 4;
  ResilienceFlags resilience;
  std::string log_level = "info";
  KubeFlags kube;
  double drain_delay_s = -1;  // negative: none, and 5 s when the workers are pods
  DecisionLogFlags decision_log{"off"};
  KvKnowledgeFlags kv;
  RouteFlags routes;
  GatewayTlsFlags tls;
  TenantFlags tenants;
};

// DYN_ROUTER_MODE in the words of NVIDIA Dynamo's frontend.
Result<std::string> policy_of_dynamo(const std::string& mode) {
  if (mode == "least-loaded") return std::string("least-load");
  for (const std::string_view name : policy_names()) {
    if (mode == name) return mode;
  }
  return Error{"DYN_ROUTER_MODE: '" + mode +
               "' is not supported here; use round-robin, random, least-loaded or kv"};
}

Result<std::string> chosen_policy(const GatewayFlags& flags) {
  if (!flags.policy.empty()) return flags.policy;
  const char* mode = std::getenv("DYN_ROUTER_MODE");
  return mode != nullptr && *mode != '\0' ? policy_of_dynamo(mode) : Result<std::string>(std::string("kv"));
}

using Objectives = std::map<std::string, int32_t, std::less<>>;

// "NAME=PRIORITY"
Result<void> read_objective(const std::string& text, Objectives& objectives) {
  const size_t equals = text.find('=');
  int32_t priority = 0;
  const char* end = text.data() + text.size();
  const bool parsed = equals != std::string::npos && equals > 0 &&
                      std::from_chars(text.data() + equals + 1, end, priority) ==
                          std::from_chars_result{end, std::errc()};
  if (!parsed) return Error{"--objective: '" + text + "' is not NAME=PRIORITY, as in batch=-1"};
  objectives.insert_or_assign(text.substr(0, equals), priority);
  return {};
}

constexpr const char* kWorkerFlags = "--worker-urls, --endpoints-file, --dns";

bool has_roles(const GatewayFlags& flags) {
  return !flags.prefill_urls.empty() || !flags.decode_urls.empty();
}

int flags_with_workers(const GatewayFlags& flags) {
  const bool has_urls = !flags.worker_urls.empty() || has_roles(flags);
  return has_urls + !flags.endpoints_file.empty() + !flags.dns.empty();
}

Result<std::optional<KubeChoice>> gateway_kube_choice(const GatewayFlags& flags,
                                                      std::string_view config) {
  OtherSources others;
  others.flags = flags_with_workers(flags);
  others.names = kWorkerFlags;
  others.config_discovers = others.flags == 0 && config_discovers(config);
  return kube_choice(flags.kube, others);
}

// When no flag says where the workers are, dataLayer.discovery of the configuration may.
Result<void> check_sources(const GatewayFlags& flags, PoolOptions& options) {
  const Result<std::optional<KubeChoice>> kube = gateway_kube_choice(flags, options.config);
  if (!kube) return kube.error();
  const int sources = flags_with_workers(flags) + kube->has_value();
  options.no_endpoints = std::string("exactly one of ") + kWorkerFlags +
                         ", --pool-name and --endpoint-selector says where the workers are, or "
                         "dataLayer.discovery of the configuration";
  const bool routed = flags.routes.any();
  if (sources > 0 && flags.routes.from_cluster) {
    return Error{"--routes-from-cluster: the cluster says where the workers are; leave " +
                 std::string(kWorkerFlags) + ", --pool-name and --endpoint-selector out"};
  }
  options.endpoints_from_config =
      sources == 0 && !options.config_name.empty() && (!routed || config_discovers(options.config));
  if (sources == 1 || options.endpoints_from_config) return {};
  if (sources == 0 && routed) return {};  // the objects say it
  return Error{options.no_endpoints};
}

// Whether anything but the objects of --routes says where workers are.
bool has_workers(const GatewayFlags& flags, const PoolOptions& pool) {
  const bool by_pods = !flags.kube.pool_name.empty() || !flags.kube.endpoint_selector.empty();
  return !flags.routes.any() || flags_with_workers(flags) > 0 || by_pods ||
         pool.endpoints_from_config;
}

// All bodies together: by default three of the largest, and no less than 192 MiB.
Result<size_t> bodies_bytes(const GatewayFlags& flags) {
  constexpr size_t kMiB = 1024 * 1024;
  if (flags.bodies_mib == 0) return std::max<size_t>(192, 3 * flags.body_mib) * kMiB;
  if (flags.bodies_mib * 3 / 4 < flags.body_mib) {
    return Error{"--max-bodies-mib: three quarters of it, which is what large bodies get, must hold one of "
                 "--max-body-mib (" + std::to_string(flags.body_mib) + " MiB)"};
  }
  return flags.bodies_mib * kMiB;
}

constexpr const char* kRoleLabel = "llm-d.ai/role";

// `role`: of these workers, for the filters of a configuration; empty: they have none.
Result<void> read_urls(const std::string& flag, const std::vector<std::string>& urls,
                       const std::string& role, std::vector<Endpoint>& endpoints) {
  for (const std::string& url : urls) {
    Result<HostPort> worker = parse_http_origin(url);
    if (!worker) return Error{flag + ": " + worker.error().message};
    Endpoint endpoint{to_string(*worker), worker->host, worker->port, {}};
    if (role.empty()) {
      endpoints.push_back(std::move(endpoint));
      continue;
    }
    const auto known = std::find_if(endpoints.begin(), endpoints.end(), [&](const Endpoint& other) {
      return other.name == endpoint.name;
    });
    if (known == endpoints.end()) {
      endpoint.labels[kRoleLabel] = role;
      endpoints.push_back(std::move(endpoint));
    } else if (known->labels[kRoleLabel] == "prefill" && role == "decode") {
      known->labels[kRoleLabel] = "prefill-decode";
    } else {
      return Error{flag + ": " + endpoint.name + " is named twice"};
    }
  }
  return {};
}

Result<void> read_feeds(const GatewayFlags& flags, FleetFeedsOptions& feeds) {
  std::vector<Endpoint>& endpoints = feeds.endpoints;
  Result<void> read = read_urls("--worker-urls", flags.worker_urls, "", endpoints);
  if (read) read = read_urls("--prefill-urls", flags.prefill_urls, "prefill", endpoints);
  if (read) read = read_urls("--decode-urls", flags.decode_urls, "decode", endpoints);
  if (!read) return read.error();
  feeds.endpoints_file = flags.endpoints_file;
  if (!flags.dns.empty()) {
    Result<HostPort> name = parse_host_port(flags.dns);
    if (!name) return Error{"--dns: " + name.error().message};
    feeds.dns = *name;
  }
  feeds.dns_interval = from_seconds(flags.dns_interval_s);
  feeds.endpoints_max = flags.endpoints_max;
  feeds.eject_outliers = flags.eject_outliers;
  Result<MonitorOptions> monitor = monitor_options(flags.health);
  if (!monitor) return monitor.error();
  feeds.monitor = std::move(*monitor);
  feeds.check_health = flags.health.checks;
  return {};
}

// Prompts to those that prefill, answers from those that decode.
Result<void> route_by_role(const GatewayFlags& flags, PoolOptions& options) {
  if (!flags.policy.empty()) {
    return Error{
        "--policy: no named policy tells roles apart, and --prefill-urls or --decode-urls "
        "give some; leave --policy out, or write a configuration (--config)"};
  }
  if (flags.prefill_urls.empty()) return Error{"--decode-urls: nobody prefills: --prefill-urls"};
  if (flags.decode_urls.empty() && flags.worker_urls.empty()) {
    return Error{"--prefill-urls: nobody decodes: --decode-urls"};
  }
  options.config = apart_config();
  options.config_name = "the configuration of --prefill-urls";
  return {};
}

// A configuration, or a named policy.
Result<void> read_routing(const GatewayFlags& flags, PoolOptions& options) {
  if (flags.config.empty() && has_roles(flags)) return route_by_role(flags, options);
  Result<std::string> policy = chosen_policy(flags);
  if (!policy) return policy.error();
  if (!flags.config.empty() || !flags.routes.pool_configs.empty()) {
    options.plugins.allow_alpha = flags.allow_experimental_plugins;
    options.plugins.plugin_files = flags.plugins;
  } else if (!flags.plugins.empty()) {
    return Error{"--plugin: only a configuration can name its types: give one with --config"};
  }
  if (flags.config.empty()) {
    options.policy = *policy;
    return {};
  }
  if (!flags.policy.empty()) return Error{"--config and --policy: only one of them can decide"};
  Result<std::string> text = read_whole_file(flags.config, PoolOptions::kConfigBytesMax);
  if (!text) return Error{"--config: " + text.error().message};
  options.config = std::move(*text);
  options.config_name = options.config_file = flags.config;
  return {};
}

Result<void> read_objectives(const GatewayFlags& flags, PoolOptions& options) {
  Objectives objectives;
  for (const std::string& objective : flags.objectives) {
    if (Result<void> read = read_objective(objective, objectives); !read) return read.error();
  }
  for (const auto& [name, priority] : objectives) options.priorities.push_back(priority);
  options.priority_of = [known = std::move(objectives)](std::string_view name) {
    const auto found = known.find(name);
    return found == known.end() ? std::nullopt : std::optional<int32_t>(found->second);
  };
  return {};
}

Result<void> read_pool(const GatewayFlags& flags, PoolOptions& options) {
  if (Result<void> read = read_feeds(flags, options.feeds); !read) return read.error();
  options.refresh_metrics_interval =
      std::max(from_seconds(flags.refresh_metrics_interval_ms / 1000), kRefreshIntervalLeast);
  if (Result<void> read = read_routing(flags, options); !read) return read.error();
  if (Result<void> read = check_sources(flags, options); !read) return read.error();
  options.preset.hold = flags.hold || (!flags.no_hold && options.policy == "kv");
  options.preset.held_most = from_seconds(flags.max_hold_s);
  options.plugins.hold_threshold = from_seconds(flags.hold_threshold_s);
  if (Result<void> read = read_objectives(flags, options); !read) return read.error();
  Result<EngineProfile> profile = load_engine_profile(flags.engine_profile);
  if (!profile) return Error{"--engine-profile: " + profile.error().message};
  options.plugins.profile = *profile;
  options.time_scale = flags.time_scale;
  return read_kv_flags(flags.kv, options);
}

Result<void> read_cors_origins(const std::vector<std::string>& origins) {
  for (const std::string& origin : origins) {
    if (is_cors_origin(origin)) continue;
    return Error{"--cors-origin: '" + origin +
                 "' is not http(s)://HOST[:PORT], whose HOST may begin with '*.', or '*'"};
  }
  return {};
}

Result<GatewayOptions> options_of(const GatewayFlags& flags) {
  GatewayOptions options;
  options.host = flags.host;
  options.port = flags.port;
  if (Result<void> read = read_pool(flags, options.pool); !read) return read.error();
  options.has_workers = has_workers(flags, options.pool);
  options.threads = flags.threads > 0 ? flags.threads : std::max(1u, std::thread::hardware_concurrency());
  options.server.body_bytes = flags.body_mib * 1024 * 1024;
  const Result<size_t> bodies = bodies_bytes(flags);
  if (!bodies) return bodies.error();
  options.bodies_bytes_max = *bodies;
  options.server.whole_body_timeout = from_seconds(flags.body_timeout_s);
  options.server.head_bytes = flags.header_kib * 1024;
  if (Result<void> read = read_gateway_tls_flags(flags.tls, options); !read) return read.error();
  options.client.head_bytes = options.server.head_bytes;
  options.client.first_byte_timeout = from_seconds(flags.first_byte_timeout_s);
  options.client.idle_timeout = from_seconds(flags.idle_timeout_s);
  options.client.gather_interval = from_seconds(flags.gather_interval_s);
  options.drain_timeout = from_seconds(flags.drain_timeout_s);
  options.drain_delay = from_seconds(std::max(flags.drain_delay_s, 0.0));
  options.handoff = handoff_options(flags.handoff);
  options.sidecars_prefill = flags.prefill_by == "sidecar";
  options.strips_handoffs = flags.strip_handoffs;
  Result<std::vector<HeaderRoute>> routes = read_header_routes(flags.header_routes);
  if (!routes) return routes.error();
  options.header_routes = std::move(*routes);
  if (Result<void> read = read_cors_origins(flags.cors_origins); !read) return read.error();
  options.cors_origins = flags.cors_origins;
  options.attempts_max = flags.attempts;
  options.closed_retries_max = flags.closed_retries;
  options.error_retries_max = flags.retry_on_5xx ? 1 : 0;
  if (Result<void> read = read_resilience_flags(flags.resilience, options); !read)
    return read.error();
  return options;
}

// Flags that speak of a named policy, beside a configuration that says all of that itself.
void warn_of_unused_flags(const GatewayFlags& flags) {
  if (flags.config.empty()) return;
  const GatewayFlags defaults;
  const std::pair<const char*, bool> given[] = {
      {"--no-hold", flags.no_hold},
      {"--max-hold", flags.max_hold_s != defaults.max_hold_s},
      {"--time-scale", flags.time_scale != defaults.time_scale}};
  for (const auto& [flag, is_given] : given) {
    if (is_given) log_warning(std::string(flag) + " has no effect: --config decides who waits");
  }
}

// `kube`: null when the workers are no pods.
std::string workers_of(const FleetFeedsOptions& feeds, const KubeSession* kube) {
  if (kube != nullptr) return "workers from " + kube->text();
  if (feeds.dns) return "workers from " + to_string(*feeds.dns);
  if (!feeds.endpoints_file.empty()) return "workers from " + feeds.endpoints_file;
  return std::to_string(feeds.endpoints.size()) + " workers";
}

// Null: the flags do not ask for pods. Else the gateway's workers come from it.
Result<std::unique_ptr<KubeSession>> gateway_kube_session(EventLoop& loop,
                                                          const GatewayFlags& flags,
                                                          GatewayOptions& options) {
  Result<std::optional<KubeChoice>> choice = gateway_kube_choice(flags, options.pool.config);
  if (!choice) return choice.error();
  if (!choice->has_value()) return std::unique_ptr<KubeSession>();
  Result<std::unique_ptr<KubeSession>> session = KubeSession::open(
      loop, std::move(**choice),
      {.program = "gateway", .node_labels = config_reads_nodes(options.pool.config)});
  if (!session) return session.error();
  (*session)->feed(options.pool.feeds);
  if (flags.drain_delay_s < 0) options.drain_delay = kKubeDrainDelay;
  return session;
}

// Null: nobody wants it.
Result<std::unique_ptr<AccessLog>> access_log(const TenantFlags& flags) {
  if (flags.access_log.empty()) return std::unique_ptr<AccessLog>();
  Result<std::unique_ptr<LineWriter>> writer = LineWriter::open(flags.access_log);
  if (!writer) return Error{"--access-log: " + writer.error().message};
  return std::make_unique<AccessLog>(std::move(*writer));
}

int run_gateway(const GatewayFlags& flags) {
  set_log_component("gateway");
  set_log_level(log_level_named(flags.log_level).value_or(LogLevel::kInfo));
  keep_freed_memory();
  raise_descriptor_limit();
  Result<GatewayOptions> options = options_of(flags);
  if (!options) return fail_command("gateway", 2, options.error().message);
  warn_of_unused_flags(flags);
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) return fail_command("gateway", 1, loop.error().message);
  Result<std::unique_ptr<KubeSession>> kube = gateway_kube_session(**loop, flags, *options);
  if (!kube) return fail_command("gateway", 2, kube.error().message);
  Result<std::unique_ptr<RouteSession>> routes =
      RouteSession::open(**loop, flags.routes, flags.kube.kubeconfig, *options);
  if (!routes) return fail_command("gateway", 2, routes.error().message);
  Result<std::unique_ptr<TenantSession>> tenants =
      TenantSession::open(**loop, flags.tenants, *options);
  if (!tenants) return fail_command("gateway", 2, tenants.error().message);
  Result<std::unique_ptr<AccessLog>> visits = access_log(flags.tenants);
  if (!visits) return fail_command("gateway", 2, visits.error().message);
  if (flags.routes.from_cluster && flags.drain_delay_s < 0) options->drain_delay = kKubeDrainDelay;
  const std::string policy = options->pool.policy.empty() ? "config" : options->pool.policy;
  Result<std::unique_ptr<DecisionLog>> log =
      decision_log(flags.decision_log, "gateway", LogEncoding::kText);
  if (!log) return fail_command("gateway", 2, log.error().message);
  options->pool.journey.trace = *log != nullptr;
  GatewayMetrics metrics(policy, log->get());
  PoolsMetrics pools_metrics(metrics);
  metrics.set_access_log(visits->get());
  if (options->tenants != nullptr) metrics.count_tenants();
  std::unique_ptr<Gateway> gateway;
  std::atomic<Gateway*> serving{nullptr};
  Result<std::unique_ptr<SignalWatcher>> signals =
      SignalWatcher::create(**loop, {SIGINT, SIGTERM, SIGHUP, SIGUSR1},
                            [&loop, &gateway, &visits, stopping = false](int signal) mutable {
                              if (signal == SIGUSR1) {
                                if (*visits != nullptr) (*visits)->reopen();
                                return;
                              }
                              if (std::exchange(stopping, true)) return (*loop)->stop();
                              log_info(stopping_text("requests", gateway->options().drain_delay));
                              gateway->drain([&loop] { (*loop)->stop(); });
                            });
  if (!signals) return fail_command("gateway", 1, signals.error().message);
  Result<std::unique_ptr<Gateway>> created = Gateway::create(
      **loop, *options, metrics, [&metrics, &pools_metrics, &serving, &kube, &routes, &tenants] {
        MetricRegistry caches;
        if (Gateway* now = serving.load()) {
          const PoolStats stats = now->pool().stats();
          metrics.note_flow(stats.flow);
          if (stats.kv) add_kv_series(caches, *stats.kv);
          pools_metrics.note(*now, caches);
        }
        return metrics.page((*tenants)->tenants().get()) + caches.expose() +
               (*kube != nullptr ? (*kube)->page() : "") +
               (*routes != nullptr ? (*routes)->page() : "");
      });
  if (!created) {
    if (*kube != nullptr) (*kube)->tell_start_refused(created.error().message);
    return fail_command("gateway", options->pool.config_name.empty() ? 1 : 2,
                        created.error().message);
  }
  gateway = std::move(*created);
  serving = gateway.get();
  if (*kube != nullptr) {
    (*kube)->serve(gateway->pool());
    metrics.tell_refused_configurations(
        [&kube](std::string_view error) { (*kube)->on_configuration_refused(error); });
  }
  if (*routes != nullptr) {
    const Result<void> served = (*routes)->serve(*gateway, pools_metrics);
    if (!served) return fail_command("gateway", 2, served.error().message);
  }
  (*tenants)->serve(*gateway, [&metrics](bool used) { metrics.on_keys_read(used); });
  for (const std::string& note : gateway->pool().config().notes) log_info(note);
  const std::string unused = unused_kv_flags(flags.kv);
  if (!unused.empty() && !gateway->pool().stats().kv) log_warning(unused);
  log_info("serving on " + std::string(flags.tls.cert_paths.empty() ? "http://" : "https://") +
           to_string(HostPort{options->host, gateway->port()}) +
           ", policy " + policy + ", " +
           (options->has_workers ? workers_of(gateway->pool().options().feeds, kube->get()) + ", "
                                 : "") +
           std::to_string(options->threads) + " threads" +
           (*routes != nullptr ? ", " + (*routes)->text() : "") +
           ((*tenants)->tenants() != nullptr ? ", " + (*tenants)->text() : ""));
  if (flags.tenants.anonymous) {
    const std::string open = open_ports_warning(options->host, {{"http", gateway->port()}});
    if (!open.empty()) log_warning(open);
  }
  (*loop)->run();
  return 0;
}

}  // namespace

void add_gateway_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      "gateway", "Serve one OpenAI endpoint in front of many workers and route each request");
  auto flags = std::make_shared<GatewayFlags>();
  command->add_option("--worker-urls", flags->worker_urls, "Workers, as http://HOST:PORT[,...]")
      ->delimiter(',');
  command
      ->add_option("--prefill-urls", flags->prefill_urls,
                   "Workers that prefill prompts for others to answer (they carry the label\n"
                   "llm-d.ai/role=prefill); one that --decode-urls names as well does both")
      ->delimiter(',');
  command
      ->add_option("--decode-urls", flags->decode_urls,
                   "Workers that answer what others prefilled (llm-d.ai/role=decode). Without\n"
                   "--config every prompt is prefilled apart")
      ->delimiter(',');
  command->add_option("--endpoints-file", flags->endpoints_file,
                      "Workers from a file, which is watched: endpoints[]{name, namespace, address,\n"
                      "port, labels}");
  command->add_option("--dns", flags->dns, "Workers from a name's addresses, as NAME:PORT");
  add_seconds_flag(*command, "--dns-interval", flags->dns_interval_s, "Between look-ups of the name")
      ->check(above_zero());
  command->add_option("--max-endpoints", flags->endpoints_max,
                      "Workers at one time, from a file or a name")
      ->check(CLI::Range(1, 100000))->capture_default_str();
  command->add_flag("--eject-outliers,!--no-eject-outliers", flags->eject_outliers,
                    "Leave a worker out for a while after five errors in a row that other workers\n"
                    "did not have; never more than half of them (default: on)");
  command->add_option("--refresh-metrics-interval-ms", flags->refresh_metrics_interval_ms,
                      "Between readings of the workers' metrics, for --config; 50 at least\n"
                      "(milliseconds, or with a unit: 500ms, 2s)")
      ->transform(as_milliseconds())
      ->check(above_zero())
      ->capture_default_str();
  command->add_option("--port", flags->port, "Port to listen on; 0 takes a free one")->capture_default_str();
  command->add_option("--host", flags->host, "Address to listen on")->capture_default_str();
  command->add_option(
      "--policy", flags->policy,
      "How to route: kv, load-cost, least-load, random or round-robin; or, to compare\n"
      "with, by another router's rule: dynamo, lmetric or llm-d\n"
      "(default: the variable DYN_ROUTER_MODE, else kv)");
  command->add_option("--config", flags->config,
                      "An EndpointPickerConfig that routes instead of a policy;\n"
                      "kvasir config check FILE explains it. Read anew when it changes");
  command
      ->add_flag("--hold", flags->hold,
                 "Hold requests until a worker has little work ahead of it\n"
                 "(kv and load-cost; default: with kv)")
      ->excludes(command->add_flag("--no-hold", flags->no_hold, "Hold nobody (with --policy)"));
  add_seconds_flag(*command, "--max-hold", flags->max_hold_s,
                   "How long a request may be held, in the model's time; then 429 (with --policy)")
      ->check(above_zero());
  add_seconds_flag(*command, "--hold-threshold", flags->hold_threshold_s,
                   "Requests are held while every worker has at least this much predicted work\n"
                   "ahead of it (with a configuration: of predicted-cost-picker as its saturation\n"
                   "detector)")
      ->check(hold_threshold_check());
  command->add_option("--objective", flags->objectives,
                      "Priority of requests that name this objective in the header\n"
                      "x-llm-d-inference-objective, as NAME=PRIORITY[,...]; below 0 they may be shed")
      ->delimiter(',');
  command->add_flag("--allow-experimental-plugins", flags->allow_experimental_plugins,
                    "Let the configuration name alpha plugins");
  command->add_option("--plugin", flags->plugins,
                      "A shared object with more plugin types (examples/plugin); may stand several times")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_engine_profile_flag(*command, flags->engine_profile, "What the cost policies predict with");
  command
      ->add_option("--time-scale", flags->time_scale,
                   "Model seconds a second, when the workers are simulated with it (with --policy)")
      ->check(time_scale_check())
      ->capture_default_str();
  command->add_option("--threads", flags->threads, "Threads (default: one for each core)")
      ->check(CLI::Range(0, kThreadsMost));
  command->add_option("--max-body-mib", flags->body_mib, "Largest request body; beyond it 413")
      ->check(CLI::Range(1, 4096))->capture_default_str();
  command->add_option("--max-bodies-mib", flags->bodies_mib,
                      "Bodies of all requests together, until they are sent on; beyond it 503\n"
                      "(default: three of the largest, at least 192)")
      ->check(CLI::Range(1, 1048576));
  add_seconds_flag(*command, "--body-timeout", flags->body_timeout_s,
                   "What a client may take for a whole body; then 408")
      ->check(above_zero());
  command->add_option("--max-header-kib", flags->header_kib, "Largest request head; beyond it 431")
      ->check(CLI::Range(1, 1024))->capture_default_str();
  add_seconds_flag(*command, "--first-byte-timeout", flags->first_byte_timeout_s,
                   "What a worker may take to its first byte; then 504")
      ->check(above_zero());
  add_seconds_flag(*command, "--idle-timeout", flags->idle_timeout_s,
                   "How long a started answer may stand still; then it is cut")
      ->check(above_zero());
  add_seconds_flag(*command, "--gather-interval", flags->gather_interval_s,
                   "Events of an answer that follow each other faster than this are passed on\n"
                   "together, this often; 0: each by itself")
      ->check(from_zero());
  add_seconds_flag(*command, "--drain-timeout", flags->drain_timeout_s,
                   "What running requests get after SIGTERM")
      ->check(from_zero());
  add_drain_delay_flag(*command, flags->drain_delay_s,
                       "After SIGTERM, how long requests are still taken while /readyz says 503");
  add_health_flags(*command, flags->health);
  command->add_option("--max-attempts", flags->attempts,
                      "Attempts for one request while nothing was sent back")
      ->check(CLI::Range(1, 100))->capture_default_str();
  command->add_option("--max-closed-retries", flags->closed_retries,
                      "Of these, after a worker closed the connection without an answer: the request may\n"
                      "be what it died of")
      ->check(CLI::Range(0, 100))->capture_default_str();
  command->add_flag("--retry-on-5xx,!--no-retry-on-5xx", flags->retry_on_5xx,
                    "Of these one, on another worker, after a worker answered 429, 500, 502, 503 or 504,\n"
                    "or 200 with an error or nothing in its body (default: on)");
  add_resilience_flags(*command, flags->resilience);
  command
      ->add_option(
          "--prefill-by", flags->prefill_by,
          "Who sends a prompt to the worker that prefills it: gateway, or sidecar (in front\n"
          "of each worker that decodes there is one; it is told in x-prefiller-host-port)")
      ->check(CLI::IsMember({"gateway", "sidecar"}))
      ->capture_default_str();
  add_handoff_flags(*command, flags->handoff, "--kv-connector",
                    "a configuration with disagg-profile-handler picks them");
  command->add_flag(
      "--strip-kv-transfer-params,!--no-strip-kv-transfer-params", flags->strip_handoffs,
      "Take what clients say about where KV is to be fetched out of their requests: a\n"
      "worker would answer with another request's KV (default: on)");
  command
      ->add_option(
          "--header-route", flags->header_routes,
          "A POST whose header NAME is VALUE goes to URL, and not to a worker of the pool, as\n"
          "NAME=VALUE=URL: x-kv-backend=nvlink=http://127.0.0.1:9001; may stand several times")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      ->add_option(
          "--cors-origin", flags->cors_origins,
          "Pages of this origin may call the gateway from a browser (CORS): preflight requests\n"
          "are answered here, and answers may be read, x-request-id and its like included. As\n"
          "https://app.example.com, https://*.example.com, http://localhost:3000, or '*' for\n"
          "all; may stand several times. Rules with a CORS filter say it themselves")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_route_flags(*command, flags->routes);
  add_gateway_tls_flags(*command, flags->tls);
  add_tenant_flags(*command, flags->tenants);
  command
      ->add_option("--log-level", flags->log_level,
                   "debug (with a line for each request that is over), info or warning")
      ->check(CLI::IsMember({"debug", "info", "warning"}))
      ->capture_default_str();
  add_decision_log_flags(*command, flags->decision_log);
  add_kv_flags(*command, flags->kv, "workers");
  add_kube_flags(*command, flags->kube, false);
  command->footer("Example: kvasir gateway --worker-urls http://10.0.0.1:8000,http://10.0.0.2:8000 --policy kv");
  command->callback([flags, &exit_code] { exit_code = run_gateway(*flags); });
}

}  // namespace kvasir
