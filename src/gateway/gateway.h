// The gateway as a whole: its pool, others that routes name, and one GatewayThread for each thread.
// Everything a request touches lives on its own thread but for the pools.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "base/lifeline.h"
#include "base/result.h"
#include "gateway/gateway_options.h"
#include "gateway/probe.h"
#include "net/http/body_budget.h"
#include "net/io/tls_reload.h"
#include "serving/pool.h"
#include "serving/server_threads.h"

namespace kvasir {

class GatewayThread;
struct CarriedRoutes;

class Gateway {
 public:
  // Binds the port. `loop` is the calling thread's and runs the pool and the first thread's
  // connections; the others get threads of their own. `metrics_page` renders GET /metrics, from any
  // thread. All must outlive the gateway.
  static Result<std::unique_ptr<Gateway>> create(EventLoop& loop, const GatewayOptions& options,
                                                 GatewayProbe& probe,
                                                 std::function<std::string()> metrics_page);
  ~Gateway();

  uint16_t port() const { return threads_->port(); }
  Pool& pool() { return *pool_; }

  // Another pool, for the requests that routes send to the InferencePool of that name, which no
  // other may have. `probe` hears of them and must outlive the gateway. The Error says why it
  // cannot be. Before the routes that name it; this and the next on the loop's thread.
  Result<Pool*> add_pool(const ObjectKey& name, PoolOptions options, GatewayProbe& probe);
  // After routes that do not name it any more: the pool lives on until what runs there is over.
  void remove_pool(const ObjectKey& name);
  // Calls `f(name, pool)` for each that was added and not removed; from any thread, while none
  // comes or goes. `f` must be short.
  void for_each_pool(const std::function<void(const ObjectKey&, Pool&)>& f) const;

  // What requests are routed by from now on, with options().listener_port. On the loop's thread.
  void set_routes(std::shared_ptr<const CarriedRoutes> routes);

  // Who may come in from now on, and what workers get in the field Authorization. With
  // options().tenants and options().upstream_authorization. On the loop's thread.
  void set_tenants(std::shared_ptr<const TenantTable> tenants);
  void set_upstream_authorization(std::shared_ptr<const std::string> value);

  // Says at /readyz that it stops, and ends each connection with its answer; after drain_delay
  // stops accepting, answers who is held and lets running requests end (at most drain_timeout);
  // then calls `drained` on the loop's thread.
  void drain(std::function<void()> drained);

  // For its threads.
  const GatewayOptions& options() const { return options_; }
  GatewayProbe& probe() { return probe_; }
  BodyBudget& bodies() { return bodies_; }
  const TlsContext* tls() const { return tls_.get(); }  // null: clients speak plain HTTP
  std::string metrics_page() const { return metrics_page_(); }
  bool draining() const { return draining_; }

 private:
  Gateway(EventLoop& loop, const GatewayOptions& options, GatewayProbe& probe,
          std::function<std::string()> metrics_page);
  struct AddedPool;
  Result<void> secure();
  void stop_taking();
  void tell_down(const Pool& pool, EndpointId endpoint);
  // One thread uses it no more.
  void leave_pool(AddedPool& added);

  EventLoop& loop_;
  const GatewayOptions options_;
  GatewayProbe& probe_;
  const std::function<std::string()> metrics_page_;
  BodyBudget bodies_;
  std::unique_ptr<TlsContext> tls_;
  std::unique_ptr<TlsReload> tls_reload_;
  std::shared_ptr<const TenantTable> tenants_;  // null: there are none
  std::unique_ptr<Pool> pool_;
  // By name; and those that were removed, until no thread uses them. Threads read the first.
  Guarded<std::map<ObjectKey, std::unique_ptr<AddedPool>>> added_;
  std::vector<std::unique_ptr<AddedPool>> ending_;
  std::unique_ptr<ServerThreads<GatewayThread>> threads_;
  std::atomic<bool> draining_{false};
  std::function<void()> drained_;
  Lifeline lifeline_;
};

}  // namespace kvasir
