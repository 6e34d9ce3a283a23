#include "gateway/gateway.h"

#include <utility>

#include "gateway/gateway_thread.h"
#include "net/io/event_loop.h"

namespace kvasir {

Result<std::unique_ptr<Gateway>> Gateway::create(EventLoop& loop, const GatewayOptions& options,
                                                 GatewayProbe& probe,
                                                 std::function<std::string()> metrics_page) {
  std::unique_ptr<Gateway> gateway(new Gateway(loop, options, probe, std::move(metrics_page)));
  PoolOptions pool = options.pool;
  pool.feeds.still_down = [&gateway = *gateway](EndpointId endpoint) {
    if (!gateway.threads_) return;
    gateway.threads_->for_each(
        [endpoint](GatewayThread& part) { part.on_endpoint_down(endpoint); });
  };
  Result<std::unique_ptr<Pool>> made = Pool::open(loop, std::move(pool), probe);
  if (!made) return made.error();
  gateway->pool_ = std::move(*made);
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
      bodies_(options.bodies_bytes_max) {}

Gateway::~Gateway() = default;

void Gateway::set_routes(std::shared_ptr<const CarriedRoutes> routes) {
  threads_->for_each(
      [routes = std::move(routes)](GatewayThread& part) { part.set_routes(routes); });
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
  threads_->drain(std::move(drained_));
}

}  // namespace kvasir
