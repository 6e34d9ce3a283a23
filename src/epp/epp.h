// The endpoint picker as a whole: fleet, scheduler, monitor, one EppThread for each thread, health
// and metrics.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "epp/epp_options.h"
#include "epp/probe.h"
#include "fleet/fleet.h"
#include "net/grpc_health.h"
#include "net/http_server.h"
#include "scheduling/scheduler.h"
#include "serving/token_estimator.h"

namespace kvasir {

class EventLoop;
class EppThread;
class Replicas;
struct PluginOptions;

class Epp {
 public:
  // Binds the ports. `loop` is the calling thread's: it runs the feeds, health, metrics and the
  // first thread's streams. `metrics_page` renders GET /metrics. All must outlive the picker.
  static Result<std::unique_ptr<Epp>> create(EventLoop& loop, const EppOptions& options,
                                             EppProbe& probe,
                                             std::function<std::string()> metrics_page);
  ~Epp();

  uint16_t grpc_port() const { return grpc_port_; }
  uint16_t health_port() const { return health_server_->port(); }
  uint16_t metrics_port() const { return metrics_server_->port(); }
  // How the configuration was understood: one line each, for the log.
  const std::vector<std::string>& notes() const { return notes_; }
  std::shared_ptr<const Snapshot> snapshot() const { return fleet_.snapshot(); }

  // Uses another configuration from now on, or says why not and goes on as before. What is in
  // flight, cached and bound stays known. Returns notes.
  Result<std::vector<std::string>> configure(std::string_view text);

  // Says NOT_SERVING, refuses new streams, lets running ones end (at most drain_timeout), then
  // calls `drained` on the loop's thread.
  void drain(std::function<void()> drained);

 private:
  friend class EppThread;
  class MetricsPage;

  Epp(EventLoop& loop, const EppOptions& options, EppProbe& probe);
  Result<void> start(std::function<std::string()> metrics_page);
  Result<void> listen();
  GrpcHealth health(std::string_view service) const;
  PluginOptions plugin_options() const;

  EventLoop& loop_;
  const EppOptions options_;
  EppProbe& probe_;
  const SteadyClock clock_;
  Fleet fleet_;
  std::unique_ptr<Scheduler> scheduler_;
  TokenEstimator estimator_;
  std::unique_ptr<EndpointMonitor> monitor_;
  std::unique_ptr<Replicas> replicas_;  // null: it is the only one, or shares nothing
  GrpcHealthService health_service_;
  std::unique_ptr<GrpcServer> health_server_;
  std::unique_ptr<MetricsPage> metrics_page_;
  std::unique_ptr<HttpServer> metrics_server_;
  std::vector<std::unique_ptr<EventLoop>> loops_;  // of the threads beyond the first
  std::vector<std::unique_ptr<EppThread>> parts_;
  std::vector<std::thread> threads_;
  std::vector<std::string> notes_;
  uint16_t grpc_port_ = 0;
  std::atomic<bool> draining_{false};
  size_t undrained_ = 0;
};

}  // namespace kvasir
