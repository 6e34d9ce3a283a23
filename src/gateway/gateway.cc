#include "gateway/gateway.h"

#include <algorithm>

#include "gateway/gateway_thread.h"
#include "net/event_loop.h"
#include "plugins/roster.h"
#include "scheduling/policy.h"
#include "serving/configured_scheduling.h"

namespace kvasir {
namespace {

// How often upstream reads metrics (--refresh-metrics-interval).
constexpr Duration kFreshMetricsInterval = std::chrono::milliseconds(50);

std::vector<Endpoint> endpoints_of(const std::vector<HostPort>& workers) {
  std::vector<Endpoint> endpoints;
  for (const HostPort& worker : workers) {
    endpoints.push_back({to_string(worker), worker.host, worker.port});
  }
  return endpoints;
}

Result<std::vector<SocketAddress>> resolve_all(const std::vector<HostPort>& workers) {
  std::vector<SocketAddress> addresses;
  for (const HostPort& worker : workers) {
    Result<SocketAddress> address = resolve(worker.host, worker.port);
    if (!address) return Error{"--worker-urls: " + address.error().message};
    addresses.push_back(*address);
  }
  return addresses;
}

Result<PolicyWithNotes> policy_of(const GatewayOptions& options) {
  if (!options.config_name.empty()) {
    PluginOptions plugins;
    plugins.endpoints = options.workers.size();
    plugins.profile = options.profile;
    plugins.allow_alpha = options.allow_alpha_plugins;
    plugins.plugin_files = options.plugin_files;
    Result<PolicyWithNotes> made = policy_from_config(options.config, options.config_name, plugins);
    if (made && !(*made).policy->remote_sources().empty()) {
      return Error{options.config_name + ": scores of another process are asked for by kvasir epp only"};
    }
    return made;
  }
  PolicyOptions named;
  named.endpoints = options.workers.size();
  named.profile = options.profile;
  Result<std::unique_ptr<Policy>> policy = make_policy(options.policy, named);
  if (!policy) return Error{"--policy: " + policy.error().message};
  return PolicyWithNotes{std::move(*policy), {}};
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

// A detector that finds all metrics stale would let nobody through.
MonitorOptions monitor_options(const GatewayOptions& options, const PolicyWithNotes& policy) {
  MonitorOptions monitor = options.monitor;
  if (policy.flow_control_enabled) monitor.interval = std::min(monitor.interval, kFreshMetricsInterval);
  return monitor;
}

}  // namespace

Result<std::unique_ptr<Gateway>> Gateway::create(EventLoop& loop, const GatewayOptions& options,
                                                 GatewayProbe& probe,
                                                 std::function<std::string()> metrics_page) {
  Result<std::vector<SocketAddress>> addresses = resolve_all(options.workers);
  if (!addresses) return addresses.error();
  if (Result<void> hold = check_hold(options); !hold) return hold.error();
  Result<PolicyWithNotes> policy = policy_of(options);
  if (!policy) return policy.error();
  std::unique_ptr<Gateway> gateway(new Gateway(loop, options, probe, std::move(metrics_page),
                                               std::move(*policy), std::move(*addresses)));
  if (Result<void> listening = gateway->listen(); !listening) return listening.error();
  return gateway;
}

Gateway::Gateway(EventLoop& loop, const GatewayOptions& options, GatewayProbe& probe,
                 std::function<std::string()> metrics_page, PolicyWithNotes policy,
                 std::vector<SocketAddress> addresses)
    : loop_(loop),
      options_(options),
      probe_(probe),
      metrics_page_(std::move(metrics_page)),
      addresses_(std::move(addresses)),
      notes_(std::move(policy.notes)),
      policy_clock_(steady_clock_, clock_scale(options)),
      fleet_(endpoints_of(options.workers)),
      scheduler_(fleet_, std::move(policy.policy), policy_clock_),
      holding_(scheduler_),
      admission_(scheduler_, policy_clock_, admission_of(options, policy, holding_), &probe),
      admission_timer_(loop, admission_, clock_scale(options)),
      monitor_(std::make_unique<EndpointMonitor>(loop, fleet_, addresses_, probe,
                                                 monitor_options(options, policy))) {
  std::vector<int32_t> priorities;
  for (const auto& [name, priority] : options.objectives) priorities.push_back(priority);
  admission_.set_priorities(priorities);
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
