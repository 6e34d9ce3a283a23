// Watches the endpoints of a fleet: asks each for GET /health, once every interval, and reads once
// from GET /metrics, when it comes up, how large its KV cache is. (What changes there is
// feeds/metrics_scraper.h's.)
//
// An endpoint starts unhealthy. It becomes healthy after `healthy_threshold` good answers in a row
// and unhealthy after `unhealthy_threshold` bad ones; a failed connection that the gateway saw
// counts as a bad one. Lives on one loop's thread; report_failure() may be called from any.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "feeds/address_book.h"
#include "model/endpoint.h"
#include "net/http_client.h"

namespace kvasir {

class EventLoop;
class Fleet;

struct MonitorOptions {
  Duration interval = std::chrono::seconds(1);
  Duration timeout = std::chrono::seconds(2);  // of one check
  // Until an endpoint has been healthy once it is asked this often.
  Duration first_interval = std::chrono::milliseconds(50);
  uint32_t healthy_threshold = 1;
  uint32_t unhealthy_threshold = 2;
};

class MonitorProbe {
 public:
  virtual ~MonitorProbe() = default;
  virtual void on_health_changed(const Endpoint& endpoint, bool healthy) = 0;
};

class EndpointMonitor {
 public:
  // All references must outlive the monitor. An endpoint whose address is not in the book stays
  // unhealthy.
  EndpointMonitor(EventLoop& loop, Fleet& fleet, const AddressBook& addresses, MonitorProbe& probe,
                  MonitorOptions options);
  ~EndpointMonitor();

  // Endpoints came or went: watch those that are there. On the loop's thread, after each change of
  // membership.
  void follow_fleet();

  // A request found that it could not connect there. Thread-safe.
  void report_failure(EndpointId endpoint);

  // Every endpoint was asked at least once, whatever it answered. Thread-safe.
  bool settled() const { return unasked_ == 0; }

 private:
  class Watched;
  EventLoop& loop_;
  Fleet& fleet_;
  const AddressBook& addresses_;
  MonitorProbe& probe_;
  const MonitorOptions options_;
  std::atomic<size_t> unasked_{0};
  std::vector<std::unique_ptr<Watched>> watched_;  // by slot; null where nobody is
};

}  // namespace kvasir
