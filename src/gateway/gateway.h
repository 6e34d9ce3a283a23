// The gateway as a whole: fleet, scheduler, monitor, and one GatewayThread for each thread. Everything a
// request touches lives on its own thread but for the scheduler and the token estimator.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "feeds/fleet_feeds.h"
#include "fleet/fleet.h"
#include "gateway/gateway_options.h"
#include "gateway/probe.h"
#include "net/http/body_budget.h"
#include "net/io/event_loop.h"
#include "net/io/system_resolver.h"
#include "scheduling/scheduler.h"
#include "serving/admission.h"
#include "serving/admission_timer.h"
#include "serving/holding.h"
#include "serving/remote_scores.h"
#include "serving/token_estimator.h"

namespace kvasir {

class GatewayThread;
struct PolicyWithNotes;

class Gateway {
 public:
  // Binds the port. `loop` is the calling thread's and runs the monitor and the first thread's connections;
  // the others get threads of their own. `metrics_page` renders GET /metrics, from any thread. All must outlive
  // the gateway.
  static Result<std::unique_ptr<Gateway>> create(EventLoop& loop, const GatewayOptions& options,
                                                 GatewayProbe& probe,
                                                 std::function<std::string()> metrics_page);
  ~Gateway();

  uint16_t port() const { return port_; }
  // How the configuration was understood: one line each, for the log.
  const std::vector<std::string>& notes() const { return notes_; }

  // Who waits, and how full the pool is. Thread-safe.
  FlowStats flow_stats() { return admission_.stats(); }

  // Stops accepting, lets running requests end (at most drain_timeout), then calls `drained` on the
  // loop's thread.
  void drain(std::function<void()> drained);

 private:
  friend class GatewayThread;
  friend class Relay;

  Gateway(EventLoop& loop, const GatewayOptions& options, GatewayProbe& probe,
          std::function<std::string()> metrics_page, PolicyWithNotes policy);
  Result<void> feed(ScrapePlan plan);
  void find_services(const std::vector<RemoteSource>& sources);
  Result<void> listen();
  void on_endpoint_down(EndpointId endpoint);

  EventLoop& loop_;
  const GatewayOptions options_;
  GatewayProbe& probe_;
  const std::function<std::string()> metrics_page_;
  std::vector<std::string> notes_;
  std::vector<RemoteService> services_;  // asked before a request is scheduled
  ScaledClock policy_clock_;
  BodyBudget bodies_;
  Fleet fleet_;
  Scheduler scheduler_;
  Holding holding_;
  Admission admission_;
  AdmissionTimer admission_timer_;
  TokenEstimator estimator_;
  SystemResolver resolver_;
  std::unique_ptr<FleetFeeds> feeds_;
  std::vector<std::unique_ptr<EventLoop>> loops_;  // of the threads beyond the first
  std::vector<std::unique_ptr<GatewayThread>> parts_;
  std::vector<std::thread> threads_;
  uint16_t port_ = 0;
  size_t undrained_ = 0;
};

}  // namespace kvasir
