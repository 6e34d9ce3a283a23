#include "gateway/gateway.h"

#include <algorithm>
#include <utility>

#include "gateway/gateway_thread.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

// Null: there are no tenants.
std::vector<int32_t> priorities_of(const TenantTable* tenants) {
  std::vector<int32_t> priorities;
  if (tenants == nullptr) return priorities;
  for (const auto& tenant : tenants->tenants()) {
    if (tenant->priority) priorities.push_back(*tenant->priority);
  }
  return priorities;
}

}  // namespace

struct Gateway::AddedPool {
  std::unique_ptr<Pool> pool;
  size_t users = 0;  // threads
};

Result<std::unique_ptr<Gateway>> Gateway::create(EventLoop& loop, const GatewayOptions& options,
                                                 GatewayProbe& probe,
                                                 std::function<std::string()> metrics_page) {
  std::unique_ptr<Gateway> gateway(new Gateway(loop, options, probe, std::move(metrics_page)));
  if (Result<void> secured = gateway->secure(); !secured) return secured.error();
  PoolOptions pool = options.pool;
  pool.feeds.still_down = [&gateway = *gateway](EndpointId endpoint) {
    gateway.tell_down(*gateway.pool_, endpoint);
  };
  Result<std::unique_ptr<Pool>> made = Pool::open(loop, std::move(pool), probe);
  if (!made) return made.error();
  gateway->pool_ = std::move(*made);
  gateway->pool_->set_client_priorities(priorities_of(gateway->tenants_.get()));
  if (Result<void> fed = gateway->pool_->feed(loop); !fed) return fed.error();
  auto threads = ServerThreads<GatewayThread>::start(
      loop, {options.host, options.port, "--port", options.threads, options.drain_timeout},
      [&gateway = *gateway](EventLoop& own, Descriptor listener, uint32_t index) {
        return std::make_unique<GatewayThread>(gateway, own, std::move(listener), index);
      });
  if (!threads) return threads.error();
  gateway->threads_ = std::move(*threads);
  return gateway;
}

Gateway::Gateway(EventLoop& loop, const GatewayOptions& options, GatewayProbe& probe,
                 std::function<std::string()> metrics_page)
    : loop_(loop),
      options_(options),
      probe_(probe),
      metrics_page_(std::move(metrics_page)),
      bodies_(options.bodies_bytes_max),
      tenants_(options.tenants) {}

Gateway::~Gateway() = default;

Result<void> Gateway::secure() {
  if (options_.certificate_folders.empty()) return {};
  Result<std::unique_ptr<TlsContext>> context =
      TlsContext::from_folders(options_.certificate_folders, options_.tls);
  if (!context) return Error{"--tls-cert-path: " + context.error().message};
  tls_ = std::move(*context);
  tls_reload_ = std::make_unique<TlsReload>(
      loop_, *tls_, kTlsReloadInterval, [this](const Result<bool>& renewed) {
        probe_.on_certificate_read(renewed ? "" : renewed.error().message);
      });
  return {};
}

void Gateway::tell_down(const Pool& pool, EndpointId endpoint) {
  if (!threads_) return;
  threads_->for_each(
      [&pool, endpoint](GatewayThread& part) { part.on_endpoint_down(pool, endpoint); });
}

Result<Pool*> Gateway::add_pool(const ObjectKey& name, PoolOptions options, GatewayProbe& probe) {
  auto added = std::make_unique<AddedPool>();
  options.feeds.still_down = [this, &added = *added](EndpointId endpoint) {
    tell_down(*added.pool, endpoint);
  };
  Result<std::unique_ptr<Pool>> made = Pool::open(loop_, std::move(options), probe);
  if (!made) return made.error();
  added->pool = std::move(*made);
  Pool& pool = *added->pool;
  pool.set_client_priorities(priorities_of(tenants_.get()));
  if (Result<void> fed = pool.feed(loop_); !fed) return fed.error();
  added->users = threads_->size();
  added_.with([&](auto& all) { all.emplace(name, std::move(added)); });
  threads_->for_each(
      [name, &pool, &probe](GatewayThread& part) { part.add_pool(name, pool, probe); });
  return &pool;
}

void Gateway::remove_pool(const ObjectKey& name) {
  std::unique_ptr<AddedPool> removed = added_.with([&](auto& all) {
    auto node = all.extract(name);
    return node ? std::move(node.mapped()) : nullptr;
  });
  if (removed == nullptr) return;
  const auto one_is_gone =
      lifeline_.posting(loop_, [this, &added = *removed] { leave_pool(added); });
  ending_.push_back(std::move(removed));
  threads_->for_each(
      [name, one_is_gone](GatewayThread& part) { part.remove_pool(name, one_is_gone); });
}

void Gateway::leave_pool(AddedPool& added) {
  if (--added.users > 0) return;
  ending_.erase(std::find_if(ending_.begin(), ending_.end(),
                             [&](const auto& one) { return one.get() == &added; }));
}

void Gateway::for_each_pool(const std::function<void(const ObjectKey&, Pool&)>& f) const {
  added_.with([&](const auto& all) {
    for (const auto& [name, added] : all) f(name, *added->pool);
  });
}

void Gateway::set_routes(std::shared_ptr<const CarriedRoutes> routes) {
  threads_->for_each(
      [routes = std::move(routes)](GatewayThread& part) { part.set_routes(routes); });
}

void Gateway::set_tenants(std::shared_ptr<const TenantTable> tenants) {
  tenants_ = tenants;
  const std::vector<int32_t> priorities = priorities_of(tenants.get());
  pool_->set_client_priorities(priorities);
  for_each_pool([&](const ObjectKey&, Pool& pool) { pool.set_client_priorities(priorities); });
  threads_->for_each(
      [tenants = std::move(tenants)](GatewayThread& part) { part.set_tenants(tenants); });
}

void Gateway::set_upstream_authorization(std::shared_ptr<const std::string> value) {
  threads_->for_each(
      [value = std::move(value)](GatewayThread& part) { part.set_upstream_authorization(value); });
}

void Gateway::drain(std::function<void()> drained) {
  draining_ = true;
  drained_ = std::move(drained);
  if (options_.drain_delay == Duration::zero()) return stop_taking();
  threads_->for_each([](GatewayThread& part) { part.close_after_answers(); });
  loop_.after(options_.drain_delay, lifeline_.guard([this] { stop_taking(); }));
}

void Gateway::stop_taking() {
  pool_->drain();
  for_each_pool([](const ObjectKey&, Pool& pool) { pool.drain(); });
  for (const auto& added : ending_) added->pool->drain();
  threads_->drain(std::move(drained_));
}

}  // namespace kvasir
