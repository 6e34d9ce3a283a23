#include "epp/epp.h"

#include <system_error>
#include <utility>

#include "epp/epp_thread.h"
#include "epp/replicas.h"
#include "net/io/event_loop.h"
#include "net/io/flag_address.h"
#include "scheduling/policy.h"
#include "serving/configured_scheduling.h"

namespace kvasir {
// GET /metrics, and health for whoever asks by HTTP.
class Epp::MetricsPage final : public HttpHandler {
 public:
  MetricsPage(const Epp& epp, std::function<std::string()> page)
      : epp_(epp), page_(std::move(page)) {}

  void on_request(HttpExchange& exchange) override {
    const std::string_view path = exchange.head().path();
    if (path == "/metrics") {
      return exchange.respond(200, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
                              page_());
    }
    const bool serving = epp_.health("") == GrpcHealth::kServing;
    if (path == "/healthz" || path == "/readyz") {
      return exchange.respond(serving ? 200 : 503, "Content-Type: text/plain\r\n",
                              serving ? "ok\n" : "not serving\n");
    }
    exchange.respond(404, "Content-Type: text/plain\r\n",
                     "there is /metrics, /healthz and /readyz\n");
  }
  Refusal on_refused(int, std::string_view reason) override {
    return {"Content-Type: text/plain\r\n", std::string(reason) + "\n"};
  }

 private:
  const Epp& epp_;
  const std::function<std::string()> page_;
};

Result<std::unique_ptr<Epp>> Epp::create(EventLoop& loop, const EppOptions& options,
                                         EppProbe& probe,
                                         std::function<std::string()> metrics_page) {
  std::unique_ptr<Epp> epp(new Epp(loop, options, probe));
  if (Result<void> started = epp->start(std::move(metrics_page)); !started) return started.error();
  return epp;
}

Epp::Epp(EventLoop& loop, const EppOptions& options, EppProbe& probe)
    : loop_(loop),
      options_(options),
      probe_(probe),
      bodies_(options.bodies_bytes_max),
      fleet_(options.feeds.slots()),
      health_service_([this](std::string_view service) { return health(service); }) {}

Result<void> Epp::start(std::function<std::string()> metrics_page) {
  Result<Configuration> configuration = read_configuration(options_.config);
  if (!configuration) return configuration.error();
  PolicyWithNotes* made = &configuration->policy;
  notes_ = std::move(made->notes);
  if (!configuration->discovery.path.empty() && !options_.endpoints_from_config) {
    notes_.push_back(discovery_note(options_.config_name, configuration->discovery));
  }
  configures_something_ = configuration->says_something;
  plugins_named_ = configuration->plugins_named;
  if (!options_.config_file.empty() && !configures_something_) {
    notes_.push_back(empty_configuration_note(options_.config_name));
  }
  Result<std::vector<RemoteService>> services = resolve_sources(made->policy->remote_sources());
  // A service that cannot be found is no reason not to pick: requests go without its scores.
  if (services) {
    set_services(std::move(*services));
  } else {
    notes_.push_back(services.error().message + ": requests go without its scores");
  }
  watch_services(made->policy->remote_sources());
  set_parsers(std::move(configuration->parsers));
  AdmissionSettings admission = admission_settings(*made);
  scheduler_ = std::make_unique<Scheduler>(fleet_, std::move(made->policy), loop_.clock());
  admission_ =
      std::make_unique<Admission>(*scheduler_, loop_.clock(), std::move(admission), &probe_);
  admission_->set_priorities(options_.priorities);
  admission_timer_ = std::make_unique<AdmissionTimer>(loop_, *admission_);
  if (Result<void> fed = feed(std::move(configuration->scrape_plan)); !fed) return fed.error();

  if (!options_.replicas.peers.empty()) {
    replicas_ = std::make_unique<Replicas>(loop_, resolver_, fleet_, *scheduler_, loop_.clock(),
                                           probe_, options_.replicas);
  }
  if (Result<void> secured = secure(); !secured) return secured.error();
  Result<Descriptor> health =
      listen_on_flag("--grpc-health-port", options_.host, options_.health_port, false);
  if (!health) return health.error();
  // Plain, whatever the ext_proc port speaks: Kubernetes' gRPC probes know no TLS.
  health_server_ = std::make_unique<GrpcServer>(loop_, std::move(*health),
                                                health_service_.routes(), GrpcServerLimits{});
  Result<Descriptor> metrics =
      listen_on_flag("--metrics-port", options_.host, options_.metrics_port, false);
  if (!metrics) return metrics.error();
  metrics_page_ = std::make_unique<MetricsPage>(*this, std::move(metrics_page));
  metrics_server_ = std::make_unique<HttpServer>(loop_, std::move(*metrics), *metrics_page_);
  watch_config();
  return listen();
}

Result<Configuration> Epp::read_configuration(std::string_view text) const {
  return make_configuration(text,
                            options_.config_name.empty() ? "(default)" : options_.config_name,
                            plugin_options(), options_.refresh_metrics_interval);
}

Result<void> Epp::secure() {
  if (!options_.secure) return {};
  Result<std::unique_ptr<TlsContext>> context =
      options_.certificate_path.empty()
          ? TlsContext::self_signed(options_.tls)
          : TlsContext::from_folder(options_.certificate_path, options_.tls);
  if (!context) return Error{"--cert-path: " + context.error().message};
  tls_ = std::move(*context);
  if (!options_.certificate_reload || options_.certificate_path.empty()) return {};
  tls_reload_ = std::make_unique<TlsReload>(
      loop_, *tls_, kTlsReloadInterval, [this](const Result<bool>& renewed) {
        probe_.on_certificate_read(renewed ? "" : renewed.error().message);
      });
  return {};
}

Result<void> Epp::feed(ScrapePlan plan) {
  feeds_ = std::make_unique<FleetFeeds>(loop_, resolver_, fleet_, probe_, options_.feeds);
  feeds_->scrape(std::move(plan));
  return feeds_->start();
}

Result<void> Epp::listen() {
  {
    // Sockets that share a port would share it with another picker too: ask for it alone first.
    Result<Descriptor> alone =
        listen_on_flag("--grpc-port", options_.host, options_.grpc_port, false);
    if (!alone) return alone.error();
    grpc_port_ = local_port(*alone);
  }
  for (uint32_t i = 0; i < options_.threads; ++i) {
    Result<Descriptor> listener = listen_on_flag("--grpc-port", options_.host, grpc_port_, true);
    if (!listener) return listener.error();
    EventLoop* loop = &loop_;
    if (i > 0) {
      Result<std::unique_ptr<EventLoop>> created = EventLoop::create();
      if (!created) return created.error();
      loops_.push_back(std::move(*created));
      loop = loops_.back().get();
    }
    parts_.push_back(
        std::make_unique<EppThread>(*this, *loop, std::move(*listener), health_service_, i));
  }
  try {
    for (const auto& loop : loops_) threads_.emplace_back([&part = *loop] { part.run(); });
  } catch (const std::system_error& error) {
    return Error{"--threads: the system gives only " + std::to_string(threads_.size() + 1) + ": " +
                 error.what()};
  }
  return {};
}

Epp::~Epp() {
  for (const auto& loop : loops_) loop->stop();
  for (std::thread& thread : threads_) thread.join();
}

PluginOptions Epp::plugin_options() const {
  PluginOptions plugins;
  plugins.endpoints = options_.feeds.slots();
  plugins.endpoints_per_pick = options_.endpoints_per_pick;
  plugins.profile = options_.profile;
  plugins.hold_threshold = options_.hold_threshold;
  plugins.allow_alpha = options_.allow_alpha_plugins;
  plugins.plugin_files = options_.plugin_files;
  plugins.metrics_half_life = options_.metrics_half_life;
  plugins.filter_probe = &probe_;
  return plugins;
}

GrpcService& Epp::service() {
  return *parts_.front();
}

void Epp::watch_config() {
  if (options_.config_file.empty()) return;
  config_watch_ = std::make_unique<FileWatch>(
      loop_, options_.config_file, options_.config, EppOptions::kConfigBytesMax,
      options_.config_interval, [this](Result<std::string> text) {
        if (!text) return probe_.on_configuration_read(text.error().message);
        static_cast<void>(configure(*text));
      });
}

Result<std::vector<std::string>> Epp::configure(std::string_view text) {
  Result<Configuration> configuration = read_configuration(text);
  const auto refuse = [this](const Error& error) {
    probe_.on_configuration_read(error.message);
    return error;
  };
  if (!configuration) return refuse(configuration.error());
  const bool says_something = configuration->says_something;
  if (configures_something_ && !says_something) {
    return refuse(Error{empty_configuration_refusal(options_.config_name)});
  }
  const std::string& endpoints_file = options_.feeds.endpoints_file;
  if (options_.endpoints_from_config && configuration->discovery.path != endpoints_file) {
    return refuse(Error{options_.config_name + ": dataLayer.discovery names another file than " +
                        endpoints_file + ": that takes a restart"});
  }
  PolicyWithNotes* made = &configuration->policy;
  std::vector<RemoteSource> sources = made->policy->remote_sources();
  if (const Result<void> good = check_sources(sources); !good) return refuse(good.error());
  admission_->reconfigure(admission_settings(*made));  // first: its plugins die with the old policy
  scheduler_->replace_policy(std::move(made->policy));
  watch_services(std::move(sources));
  set_parsers(std::move(configuration->parsers));
  feeds_->scrape(std::move(configuration->scrape_plan));
  configures_something_ = says_something;
  probe_.on_configuration_read("");
  const size_t before = std::exchange(plugins_named_, configuration->plugins_named);
  if (plugins_named_ < before) probe_.on_fewer_plugins(before, plugins_named_);
  return std::move(made->notes);
}

// Names are looked up elsewhere: until then requests go without the scores of a service that was
// not asked before.
void Epp::watch_services(std::vector<RemoteSource> sources) {
  service_watch_.reset();
  const auto known = services();
  service_watch_ = std::make_unique<RemoteServiceWatch>(
      loop_, std::move(sources), known ? *known : std::vector<RemoteService>{},
      options_.feeds.dns_interval,
      [this](const std::vector<RemoteService>& found) { set_services(found); },
      [this](std::string_view why) { probe_.on_service_lost(why); });
}

void Epp::set_services(std::vector<RemoteService> services) {
  const bool any = !services.empty();
  std::lock_guard<std::mutex> lock(services_mutex_);
  services_ = std::make_shared<const std::vector<RemoteService>>(std::move(services));
  asks_services_ = any;
}

std::shared_ptr<const std::vector<RemoteService>> Epp::services() {
  if (!asks_services_) return nullptr;
  std::lock_guard<std::mutex> lock(services_mutex_);
  return services_;
}

void Epp::set_parsers(RequestParsers parsers) {
  std::lock_guard<std::mutex> lock(services_mutex_);
  parsers_ = std::make_shared<const RequestParsers>(std::move(parsers));
  ++parsers_version_;
}

std::shared_ptr<const RequestParsers> Epp::parsers() {
  std::lock_guard<std::mutex> lock(services_mutex_);
  return parsers_;
}

// Without leader election every service gets the same answer, liveness included, as from upstream's
// picker.
GrpcHealth Epp::health(std::string_view) const {
  return !draining_ && feeds_->settled() ? GrpcHealth::kServing
                                                          : GrpcHealth::kNotServing;
}

void Epp::drain(std::function<void()> drained) {
  draining_ = true;
  admission_->drain();
  undrained_ = parts_.size();
  auto done = std::make_shared<std::function<void()>>(std::move(drained));
  const auto finish = [done] {
    if (*done) std::exchange(*done, nullptr)();
  };
  for (const auto& part : parts_) {
    part->loop().post([this, &part = *part, finish] {
      part.drain([this, finish] {
        loop_.post([this, finish] {
          if (--undrained_ == 0) finish();
        });
      });
    });
  }
  loop_.after(options_.drain_timeout, finish);
}

}  // namespace kvasir
