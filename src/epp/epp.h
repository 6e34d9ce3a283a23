// The endpoint picker as a whole: a pool, one EppThread for each thread, health and metrics.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "epp/epp_options.h"
#include "epp/probe.h"
#include "net/grpc/grpc_health.h"
#include "net/http/body_budget.h"
#include "net/http/http_server.h"
#include "net/io/tls_reload.h"
#include "serving/pool.h"
#include "serving/server_threads.h"

namespace kvasir {

class EppThread;
class GrpcServer;
class Replicas;

class Epp {
 public:
  // Binds the ports. `loop` is the calling thread's: it runs the pool, health, metrics and the
  // first thread's streams. `metrics_page` renders GET /metrics. All must outlive the picker.
  static Result<std::unique_ptr<Epp>> create(EventLoop& loop, const EppOptions& options,
                                             EppProbe& probe,
                                             std::function<std::string()> metrics_page);
  ~Epp();

  uint16_t grpc_port() const { return threads_->port(); }
  uint16_t health_port() const { return health_server_->port(); }
  uint16_t metrics_port() const { return metrics_server_->port(); }
  Pool& pool() { return *pool_; }

  // The service that streams come to, of the first thread.
  GrpcService& service();

  // Says NOT_SERVING; after drain_delay refuses new streams, answers who is held and lets running
  // ones end (at most drain_timeout); then calls `drained` on the loop's thread.
  void drain(std::function<void()> drained);

  // For its threads.
  const EppOptions& options() const { return options_; }
  EppProbe& probe() { return probe_; }
  BodyBudget& bodies() { return bodies_; }
  GrpcHealthService& health_service() { return health_service_; }
  TlsContext* tls() { return tls_.get(); }          // null: without
  Replicas* replicas() { return replicas_.get(); }  // null: it is the only one, or shares nothing

 private:
  class MetricsPage;

  Epp(EventLoop& loop, const EppOptions& options, EppProbe& probe);
  Result<void> start(std::function<std::string()> metrics_page);
  Result<void> secure();
  Result<void> serve_health();
  Result<void> serve_metrics(std::function<std::string()> page);
  Result<void> serve_streams();
  GrpcHealth health(std::string_view service) const;
  bool ready() const;
  std::string_view unready_because() const;  // empty: it is ready
  void stop_taking();

  EventLoop& loop_;
  const EppOptions options_;
  EppProbe& probe_;
  BodyBudget bodies_;
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<TlsContext> tls_;
  std::unique_ptr<TlsReload> tls_reload_;
  std::unique_ptr<Replicas> replicas_;
  GrpcHealthService health_service_;
  std::unique_ptr<GrpcServer> health_server_;
  std::unique_ptr<MetricsPage> metrics_page_;
  std::unique_ptr<HttpServer> metrics_server_;
  std::unique_ptr<ServerThreads<EppThread>> threads_;
  std::atomic<bool> draining_{false};
  std::function<void()> drained_;
  Lifeline lifeline_;
};

}  // namespace kvasir
