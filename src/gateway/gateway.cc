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
    return policy_from_config(options.config, options.config_name, plugins);
  }
  PolicyOptions named;
  named.endpoints = options.workers.size();
  named.profile = options.profile;
  Result<std::unique_ptr<Policy>> policy = make_policy(options.policy, named);
  if (!policy) return Error{"--policy: " + policy.error().message};
  return PolicyWithNotes{std::move(*policy), {}};
}

}  // namespace

Result<std::unique_ptr<Gateway>> Gateway::create(EventLoop& loop, const GatewayOptions& options,
                                                 GatewayProbe& probe,
                                                 std::function<std::string()> metrics_page) {
  Result<std::vector<SocketAddress>> addresses = resolve_all(options.workers);
  if (!addresses) return addresses.error();
  Result<PolicyWithNotes> policy = policy_of(options);
  if (!policy) return policy.error();
  std::unique_ptr<Gateway> gateway(new Gateway(loop, options, probe, std::move(metrics_page),
                                               std::move(policy->policy), std::move(*addresses)));
  gateway->notes_ = std::move(policy->notes);
  if (Result<void> listening = gateway->listen(); !listening) return listening.error();
  return gateway;
}

Gateway::Gateway(EventLoop& loop, const GatewayOptions& options, GatewayProbe& probe,
                 std::function<std::string()> metrics_page, std::unique_ptr<Policy> policy,
                 std::vector<SocketAddress> addresses)
    : loop_(loop),
      options_(options),
      probe_(probe),
      metrics_page_(std::move(metrics_page)),
      addresses_(std::move(addresses)),
      policy_clock_(steady_clock_, options.time_scale),
      fleet_(endpoints_of(options.workers)),
      scheduler_(fleet_, std::move(policy), policy_clock_),
      monitor_(std::make_unique<EndpointMonitor>(loop, fleet_, addresses_, probe, options.monitor)) {}

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
