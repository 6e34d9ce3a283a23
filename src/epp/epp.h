// The endpoint picker as a whole: fleet, scheduler, monitor, one EppThread for each thread, health
// and metrics.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "config/request_parsers.h"
#include "epp/epp_options.h"
#include "epp/probe.h"
#include "feeds/file_watch.h"
#include "fleet/fleet.h"
#include "net/grpc/grpc_health.h"
#include "net/http/body_budget.h"
#include "net/http/http_server.h"
#include "net/io/system_resolver.h"
#include "net/io/tls_reload.h"
#include "scheduling/plugin.h"
#include "scheduling/scheduler.h"
#include "serving/admission.h"
#include "serving/admission_timer.h"
#include "serving/configured_scheduling.h"
#include "serving/remote_service_watch.h"
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
  // What plugins show with the metrics.
  std::vector<PluginReading> plugin_readings() { return scheduler_->plugin_readings(); }
  // nullopt while flow control is off.
  std::optional<FlowStats> flow_stats() const {
    if (admission_->mode() != AdmissionSettings::Mode::kFlowControl) return std::nullopt;
    return admission_->stats();
  }

  // Uses another configuration from now on, or says why not and goes on as before. One that says
  // nothing does not replace one that says something. What is in
  // flight, cached and bound stays known. Returns notes.
  Result<std::vector<std::string>> configure(std::string_view text);

  // The service that streams come to, of the first thread.
  GrpcService& service();

  // Says NOT_SERVING, refuses new streams, lets running ones end (at most drain_timeout), then
  // calls `drained` on the loop's thread.
  void drain(std::function<void()> drained);

 private:
  friend class EppThread;
  class MetricsPage;

  Epp(EventLoop& loop, const EppOptions& options, EppProbe& probe);
  Result<void> start(std::function<std::string()> metrics_page);
  Result<void> secure();
  Result<void> feed(ScrapePlan plan);
  Result<Configuration> read_configuration(std::string_view text) const;
  Result<void> listen();
  void watch_config();
  GrpcHealth health(std::string_view service) const;
  PluginOptions plugin_options() const;
  // What the policy wants asked before it picks.
  void set_services(std::vector<RemoteService> services);
  void watch_services(std::vector<RemoteSource> sources);
  std::shared_ptr<const std::vector<RemoteService>> services();
  void set_parsers(RequestParsers parsers);
  std::shared_ptr<const RequestParsers> parsers();

  EventLoop& loop_;
  const EppOptions options_;
  EppProbe& probe_;
  BodyBudget bodies_;
  Fleet fleet_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<Admission> admission_;
  std::unique_ptr<AdmissionTimer> admission_timer_;
  TokenEstimator estimator_;
  std::unique_ptr<TlsContext> tls_;  // null: without
  std::unique_ptr<TlsReload> tls_reload_;
  SystemResolver resolver_;
  std::unique_ptr<FleetFeeds> feeds_;
  std::unique_ptr<Replicas> replicas_;  // null: it is the only one, or shares nothing
  GrpcHealthService health_service_;
  std::unique_ptr<GrpcServer> health_server_;
  std::unique_ptr<MetricsPage> metrics_page_;
  std::unique_ptr<HttpServer> metrics_server_;
  std::vector<std::unique_ptr<EventLoop>> loops_;  // of the threads beyond the first
  std::vector<std::unique_ptr<EppThread>> parts_;
  std::vector<std::thread> threads_;
  std::unique_ptr<FileWatch> config_watch_;  // when the configuration is a file's
  std::vector<std::string> notes_;
  // Of the configuration in use.
  bool configures_something_ = false;
  size_t plugins_named_ = 0;
  std::unique_ptr<RemoteServiceWatch> service_watch_;
  std::atomic<bool> asks_services_{false};
  std::mutex services_mutex_;
  std::shared_ptr<const std::vector<RemoteService>> services_;
  std::atomic<uint64_t> parsers_version_{0};  // grows with each set_parsers()
  std::shared_ptr<const RequestParsers> parsers_;  // under services_mutex_
  uint16_t grpc_port_ = 0;
  std::atomic<bool> draining_{false};
  size_t undrained_ = 0;
};

}  // namespace kvasir
