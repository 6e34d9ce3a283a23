#include "gateway/gateway.h"

#include "gateway/gateway_thread.h"
#include "net/event_loop.h"
#include "plugins/roster.h"
#include "serving/configured_scheduling.h"

namespace kvasir {
namespace {

std::vector<Endpoint> endpoints_of(const std::vector<HostPort>& workers) {
  std::vector<Endpoint> endpoints;
  for (const HostPort& worker : workers) {
    endpoints.push_back({to_string(worker), worker.host, worker.port});
  }
  return endpoints;
}

bool is_static(const GatewayOptions& options) {
  return options.endpoints_file.empty() && !options.dns;
}

size_t slots_of(const GatewayOptions& options) {
  return is_static(options) ? options.workers.size() : options.endpoints_max;
}

// The configuration's own thresholds for health checks count.
MonitorOptions monitor_options(const GatewayOptions& options, const ScrapePlan& plan) {
  MonitorOptions monitor = options.monitor;
  if (!plan.health_check) return monitor;
  monitor.interval = plan.health_check->interval;
  monitor.timeout = plan.health_check->timeout;
  monitor.healthy_threshold = static_cast<uint32_t>(plan.health_check->healthy_threshold);
  monitor.unhealthy_threshold = static_cast<uint32_t>(plan.health_check->unhealthy_threshold);
  return monitor;
}

constexpr Duration kReleaseInterval = std::chrono::seconds(1);

Result<PolicyWithNotes> policy_of(const GatewayOptions& options) {
  if (!options.config_name.empty()) {
    PluginOptions plugins;
    plugins.endpoints = slots_of(options);
    plugins.profile = options.profile;
    plugins.allow_alpha = options.allow_alpha_plugins;
    return policy_from_config(options.config, options.config_name, plugins);
  }
  PolicyOptions named;
  named.endpoints = slots_of(options);
  named.profile = options.profile;
  Result<std::unique_ptr<Policy>> policy = make_policy(options.policy, named);
  if (!policy) return Error{"--policy: " + policy.error().message};
  return PolicyWithNotes{std::move(*policy), {}};
}

}  // namespace

Result<std::unique_ptr<Gateway>> Gateway::create(EventLoop& loop, const GatewayOptions& options,
                                                 GatewayProbe& probe,
                                                 std::function<std::string()> metrics_page) {
  Result<AddressBook> addresses = AddressBook::of(options.workers);
  if (!addresses) return Error{"--worker-urls: " + addresses.error().message};
  Result<PolicyWithNotes> policy = policy_of(options);
  if (!policy) return policy.error();
  ScrapePlan plan;
  if (!options.config_name.empty()) {
    Result<ScrapePlan> made = scrape_plan_from_config(options.config, options.config_name,
                                                      options.refresh_metrics_interval);
    if (!made) return made.error();
    plan = std::move(*made);
  }
  GatewayOptions effective = options;
  effective.monitor = monitor_options(options, plan);
  std::unique_ptr<Gateway> gateway(new Gateway(loop, effective, probe, std::move(metrics_page),
                                               std::move(policy->policy), std::move(*addresses)));
  gateway->notes_ = std::move(policy->notes);
  if (Result<void> found = gateway->discover(); !found) return found.error();
  gateway->scrape(std::move(plan));
  if (Result<void> listening = gateway->listen(); !listening) return listening.error();
  return gateway;
}

Gateway::Gateway(EventLoop& loop, const GatewayOptions& options, GatewayProbe& probe,
                 std::function<std::string()> metrics_page, std::unique_ptr<Policy> policy,
                 AddressBook addresses)
    : loop_(loop),
      options_(options),
      probe_(probe),
      metrics_page_(std::move(metrics_page)),
      addresses_(std::move(addresses)),
      policy_clock_(steady_clock_, options.time_scale),
      fleet_(slots_of(options)),
      scheduler_(fleet_, std::move(policy), policy_clock_),
      monitor_(std::make_unique<EndpointMonitor>(loop, fleet_, addresses_, probe, options.monitor)) {
  if (!options.eject_outliers) return;
  ejection_ = std::make_unique<OutlierEjection>(fleet_, steady_clock_, options.ejection);
  release_timer_ = loop.after(kReleaseInterval, [this] { release_outliers(); });
}

Result<void> Gateway::discover() {
  if (options_.dns) {
    discovery_ = watch_dns(loop_, options_.dns->host, options_.dns->port, options_.dns_interval, *this);
  } else if (!options_.endpoints_file.empty()) {
    Result<std::unique_ptr<Discovery>> watched =
        watch_endpoints_file(loop_, options_.endpoints_file, options_.file_interval, *this);
    if (!watched) return watched.error();
    discovery_ = std::move(*watched);
  } else {
    on_endpoints(endpoints_of(options_.workers));
  }
  return {};
}

void Gateway::scrape(ScrapePlan plan) {
  if (plan.sources.empty()) return;
  scraper_ = std::make_unique<MetricsScraper>(loop_, fleet_, addresses_, probe_, steady_clock_,
                                              std::move(plan));
}

void Gateway::release_outliers() {
  ejection_->release_due();
  release_timer_ = loop_.after(kReleaseInterval, [this] { release_outliers(); });
}

void Gateway::on_endpoints(std::vector<Endpoint> endpoints) {
  const std::shared_ptr<const Snapshot> before = fleet_.snapshot();
  const MembershipChange change = fleet_.replace_all(std::move(endpoints));
  const std::shared_ptr<const Snapshot> after = fleet_.snapshot();
  for (const EndpointId id : change.removed) probe_.on_left(*before->endpoints[index_of(id)].endpoint);
  for (const EndpointId id : change.added) {
    probe_.on_joined(id, *after->endpoints[index_of(id)].endpoint);
  }
  for (const Endpoint& endpoint : change.refused) probe_.on_endpoint_refused(endpoint);
  monitor_->follow_fleet();
}

void Gateway::on_discovery_failed(std::string_view source, std::string_view why) {
  probe_.on_discovery_failed(source, why);
}

Result<void> Gateway::listen() {
  port_ = options_.port;
  {
    // Sockets that share a port would share it with another gateway too: ask for it alone first.
    Result<Descriptor> alone = listen_tcp(options_.host, port_, false);
    if (!alone) return alone.error();
    port_ = local_port(*alone);
  }
  for (uint32_t i = 0; i < options_.threads; ++i) {
    Result<Descriptor> listener = listen_tcp(options_.host, port_, true);
    if (!listener) return listener.error();
    EventLoop* loop = &loop_;
    if (i > 0) {
      Result<std::unique_ptr<EventLoop>> created = EventLoop::create();
      if (!created) return created.error();
      loops_.push_back(std::move(*created));
      loop = loops_.back().get();
    }
    parts_.push_back(std::make_unique<GatewayThread>(*this, *loop, std::move(*listener), i));
  }
  for (const auto& loop : loops_) threads_.emplace_back([&part = *loop] { part.run(); });
  return {};
}

Gateway::~Gateway() {
  loop_.cancel(release_timer_);
  for (const auto& loop : loops_) loop->stop();
  for (std::thread& thread : threads_) thread.join();
}

void Gateway::drain(std::function<void()> drained) {
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
