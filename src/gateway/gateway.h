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
#include "feeds/address_book.h"
#include "feeds/discovery.h"
#include "feeds/metrics_scraper.h"
#include "fleet/fleet.h"
#include "fleet/outlier_ejection.h"
#include "gateway/gateway_options.h"
#include "gateway/probe.h"
#include "net/event_loop.h"
#include "scheduling/scheduler.h"
#include "serving/token_estimator.h"

namespace kvasir {

class GatewayThread;

class Gateway final : private DiscoveryListener {
 public:
  // Binds the port. `loop` is the calling thread's and runs the monitor and the first thread's connections;
  // the others get threads of their own. `metrics_page` renders GET /metrics, from any thread. All must outlive
  // the gateway.
  static Result<std::unique_ptr<Gateway>> create(EventLoop& loop, const GatewayOptions& options,
                                                 GatewayProbe& probe,
                                                 std::function<std::string()> metrics_page);
  ~Gateway() override;

  uint16_t port() const { return port_; }
  // How the configuration was understood: one line each, for the log.
  const std::vector<std::string>& notes() const { return notes_; }

  // Stops accepting, lets running requests end (at most drain_timeout), then calls `drained` on the
  // loop's thread.
  void drain(std::function<void()> drained);

 private:
  friend class GatewayThread;
  friend class Relay;

  Gateway(EventLoop& loop, const GatewayOptions& options, GatewayProbe& probe,
          std::function<std::string()> metrics_page, std::unique_ptr<Policy> policy, AddressBook addresses);
  Result<void> discover();
  void scrape(ScrapePlan plan);
  void release_outliers();
  Result<void> listen();

  void on_endpoints(std::vector<Endpoint> endpoints) override;
  void on_discovery_failed(std::string_view source, std::string_view why) override;

  EventLoop& loop_;
  const GatewayOptions options_;
  GatewayProbe& probe_;
  const std::function<std::string()> metrics_page_;
  const AddressBook addresses_;
  SteadyClock steady_clock_;
  ScaledClock policy_clock_;
  Fleet fleet_;
  Scheduler scheduler_;
  TokenEstimator estimator_;
  std::unique_ptr<EndpointMonitor> monitor_;
  std::unique_ptr<MetricsScraper> scraper_;    // null: nobody asks for metrics
  std::unique_ptr<OutlierEjection> ejection_;  // null: off
  std::unique_ptr<Discovery> discovery_;       // null: the endpoints are given
  TimerId release_timer_ = kNoTimer;
  std::vector<std::unique_ptr<EventLoop>> loops_;  // of the threads beyond the first
  std::vector<std::unique_ptr<GatewayThread>> parts_;
  std::vector<std::thread> threads_;
  std::vector<std::string> notes_;
  uint16_t port_ = 0;
  size_t undrained_ = 0;
};

}  // namespace kvasir
