#include "gateway/gateway.h"

#include <algorithm>
#include <system_error>

#include "gateway/gateway_thread.h"
#include "net/io/event_loop.h"
#include "plugins/presets/roster.h"
#include "scheduling/policy.h"
#include "serving/configured_scheduling.h"

namespace kvasir {
namespace {

FleetFeedsOptions feeds_of(const GatewayOptions& options) {
  FleetFeedsOptions feeds;
  for (const HostPort& worker : options.workers) {
    feeds.endpoints.push_back({to_string(worker), worker.host, worker.port});
  }
  feeds.endpoints_file = options.endpoints_file;
  feeds.dns = options.dns;
  feeds.file_interval = options.file_interval;
  feeds.dns_interval = options.dns_interval;
  feeds.endpoints_max = options.endpoints_max;
  feeds.monitor = options.monitor;
  feeds.eject_outliers = options.eject_outliers;
  feeds.ejection = options.ejection;
  return feeds;
}

size_t slots_of(const GatewayOptions& options) { return feeds_of(options).slots(); }

Result<Configuration> configuration_of(const GatewayOptions& options, GatewayProbe& probe) {
  if (!options.config_name.empty()) {
    PluginOptions plugins;
    plugins.endpoints = slots_of(options);
    plugins.profile = options.profile;
    plugins.hold_threshold = options.hold_threshold;
    plugins.allow_alpha = options.allow_alpha_plugins;
    plugins.plugin_files = options.plugin_files;
    plugins.filter_probe = &probe;
    Result<Configuration> made = make_configuration(options.config, options.config_name, plugins,
                                                    options.refresh_metrics_interval);
    if (made && !made->says_something) {
      made->policy.notes.push_back(empty_configuration_note(options.config_name));
    }
    if (made && !made->discovery.path.empty() && !options.endpoints_from_config) {
      made->policy.notes.push_back(discovery_note(options.config_name, made->discovery));
    }
    return made;
  }
  PolicyOptions named;
  named.endpoints = slots_of(options);
  named.profile = options.profile;
  named.hold_threshold = options.hold_threshold;
  Result<std::unique_ptr<Policy>> policy = make_policy(options.policy, named);
  if (!policy) return Error{"--policy: " + policy.error().message};
  Configuration made;
  made.policy.policy = std::move(*policy);
  return made;
}

// Model time is the cost policies'. Plugins count seconds of real time, as what they read does.
double clock_scale(const GatewayOptions& options) {
  return options.config_name.empty() ? options.time_scale : 1;
}

AdmissionSettings admission_of(const GatewayOptions& options, const PolicyWithNotes& policy,
                               Holding& holding) {
  if (!options.config_name.empty()) return admission_settings(policy);
  return options.hold ? holding.settings(options.held_most) : AdmissionSettings{};
}

Result<void> check_hold(const GatewayOptions& options) {
  if (!options.hold) return {};
  if (!options.config_name.empty()) {
    return Error{"--hold: the configuration decides who waits; turn on its feature gate flowControl"};
  }
  if (options.policy != "kv" && options.policy != "load-cost") {
    return Error{"--hold: policy '" + options.policy +
                 "' cannot tell how full a worker is; use kv or load-cost"};
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Gateway>> Gateway::create(EventLoop& loop, const GatewayOptions& options,
                                                 GatewayProbe& probe,
                                                 std::function<std::string()> metrics_page) {
  if (Result<void> hold = check_hold(options); !hold) return hold.error();
  Result<Configuration> made = configuration_of(options, probe);
  if (!made) return made.error();
  const std::vector<RemoteSource> sources = made->policy.policy->remote_sources();
  std::unique_ptr<Gateway> gateway(
      new Gateway(loop, options, probe, std::move(metrics_page), std::move(made->policy)));
  if (Result<void> fed = gateway->feed(std::move(made->scrape_plan)); !fed) return fed.error();
  gateway->find_services(sources);
  if (Result<void> listening = gateway->listen(); !listening) return listening.error();
  return gateway;
}

Gateway::Gateway(EventLoop& loop, const GatewayOptions& options, GatewayProbe& probe,
                 std::function<std::string()> metrics_page, PolicyWithNotes policy)
    : loop_(loop),
      options_(options),
      probe_(probe),
      metrics_page_(std::move(metrics_page)),
      notes_(std::move(policy.notes)),
      policy_clock_(loop.clock(), clock_scale(options)),
      bodies_(options.bodies_bytes_max),
      fleet_(slots_of(options)),
      scheduler_(fleet_, std::move(policy.policy), policy_clock_),
      holding_(scheduler_),
      admission_(scheduler_, policy_clock_, admission_of(options, policy, holding_), &probe),
      admission_timer_(loop, admission_, clock_scale(options)) {
  std::vector<int32_t> priorities;
  for (const auto& [name, priority] : options.objectives) priorities.push_back(priority);
  admission_.set_priorities(priorities);
}

Result<void> Gateway::feed(ScrapePlan plan) {
  FleetFeedsOptions options = feeds_of(options_);
  options.still_down = [this](EndpointId endpoint) { on_endpoint_down(endpoint); };
  feeds_ = std::make_unique<FleetFeeds>(loop_, resolver_, fleet_, probe_, std::move(options));
  feeds_->scrape(std::move(plan));
  return feeds_->start();
}

// A service that cannot be found is no reason not to serve: requests go without its scores.
void Gateway::find_services(const std::vector<RemoteSource>& sources) {
  Result<std::vector<RemoteService>> services = resolve_sources(sources);
  if (services) {
    services_ = std::move(*services);
  } else {
    notes_.push_back(services.error().message + ": requests go without its scores");
  }
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
  try {
    for (const auto& loop : loops_) threads_.emplace_back([&part = *loop] { part.run(); });
  } catch (const std::system_error& error) {
    return Error{"--threads: the system gives only " + std::to_string(threads_.size() + 1) + ": " +
                 error.what()};
  }
  return {};
}

// On loop_'s thread, which is the first part's too.
void Gateway::on_endpoint_down(EndpointId endpoint) {
  for (const auto& part : parts_) {
    if (&part->loop() == &loop_) {
      part->on_endpoint_down(endpoint);
    } else {
      part->loop().post([&part = *part, endpoint] { part.on_endpoint_down(endpoint); });
    }
  }
}

Gateway::~Gateway() {
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
