// All that keeps a fleet up to date: which endpoints are in it, which are healthy, what their
// metrics say, and which answer so badly that they are left out for a while. The gateway and the
// endpoint picker both have one.
//
// Lives on one loop's thread, but for the report_...() and outliers(), which any thread may use.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "feeds/address_book.h"
#include "feeds/discovery.h"
#include "feeds/endpoint_monitor.h"
#include "feeds/metrics_scraper.h"
#include "feeds/name_watch.h"
#include "feeds/scrape_plan.h"
#include "fleet/outlier_ejection.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"

namespace kvasir {

class Fleet;

// Makes a source of endpoints that this module does not know (cluster/pool_discovery.h). Both
// references outlive what it makes.
using MakeDiscovery = std::function<std::unique_ptr<Discovery>(Executor&, DiscoveryListener&)>;

struct FleetFeedsOptions {
  // Where the endpoints come from, exactly one: a list, a file that is watched, a name that is
  // looked up again and again, or another source.
  std::vector<Endpoint> endpoints = {};
  std::string endpoints_file = {};
  std::optional<HostPort> dns = {};
  MakeDiscovery discover = {};
  Duration file_interval = std::chrono::seconds(1);  // zero: the file is read once
  Duration dns_interval = std::chrono::seconds(5);   // of `dns` and of the names among `endpoints`
  // Endpoints at one time, when they are not `endpoints`; more are refused.
  size_t endpoints_max = 1024;

  // False: somebody else looks after that, and every endpoint counts as healthy.
  bool check_health = true;
  MonitorOptions monitor = {};
  // Called when an endpoint became unhealthy, and after each further check of it that failed. May be empty.
  std::function<void(EndpointId)> still_down = {};
  // Called when an endpoint took the slot, and when it gave it up; after the probe. May be empty.
  std::function<void(EndpointId, const Endpoint&)> joined = {};
  std::function<void(EndpointId)> left = {};
  bool eject_outliers = false;
  EjectionOptions ejection = {};

  // Of the fleet.
  size_t slots() const {
    return endpoints_file.empty() && !dns && !discover ? endpoints.size() : endpoints_max;
  }
};

class FleetProbe : public MonitorProbe, public ScrapeProbe {
 public:
  // Endpoints came or went; before any of them is picked.
  virtual void on_joined(EndpointId slot, const Endpoint& endpoint) {
    static_cast<void>(slot), static_cast<void>(endpoint);
  }
  virtual void on_left(const Endpoint& endpoint) { static_cast<void>(endpoint); }
  // Its name has another address: it leaves, and joins anew there.
  virtual void on_moved(const Endpoint& endpoint, std::string_view address) {
    static_cast<void>(endpoint), static_cast<void>(address);
  }
  virtual void on_endpoint_refused(const Endpoint& endpoint) { static_cast<void>(endpoint); }
  virtual void on_discovery_failed(std::string_view source, std::string_view why) {
    static_cast<void>(source), static_cast<void>(why);
  }
};

class FleetFeeds final : private DiscoveryListener {
 public:
  // `fleet` has options.slots() slots. All references must outlive it.
  FleetFeeds(EventLoop& loop, Resolver& resolver, Fleet& fleet, FleetProbe& probe,
             FleetFeedsOptions options);
  ~FleetFeeds() override;

  // What to scrape from now on, instead of what was scraped until now. The plan's own health check counts when it is
  // given before start().
  void scrape(ScrapePlan plan);
  // The endpoints of the list and of the file are in the fleet afterwards. One whose host is a name
  // joins as soon as the name has an address.
  Result<void> start();

  // Every name was looked up and every endpoint was asked at least once. Once that was so it stays
  // so: an endpoint that joins later keeps nobody waiting. Thread-safe.
  bool settled() const;
  // What a request found at the endpoint: an answer, nobody who takes connections, a connection that was closed on it.
  void report_served(EndpointId endpoint) {
    if (monitor_) monitor_->report_served(endpoint);
  }
  void report_connect_failure(EndpointId endpoint) {
    if (monitor_) monitor_->report_connect_failure(endpoint);
  }
  void report_closed(EndpointId endpoint) {
    if (monitor_) monitor_->report_closed(endpoint);
  }
  OutlierEjection* outliers() { return ejection_.get(); }  // null: off
  const AddressBook& addresses() const { return addresses_; }

 private:
  void on_endpoints(std::vector<Endpoint> endpoints) override;
  void on_endpoint_changes(EndpointChanges changes) override;
  void on_discovery_failed(std::string_view source, std::string_view why) override;
  void follow(const Snapshot& before, const MembershipChange& change);
  void release_outliers();
  void watch_names();
  std::vector<Endpoint> with_address() const;
  void on_addresses(const std::string& host, const Resolver::Addresses& addresses);

  EventLoop& loop_;
  Resolver& resolver_;
  Fleet& fleet_;
  FleetProbe& probe_;
  FleetFeedsOptions options_;
  AddressBook addresses_;
  std::unique_ptr<EndpointMonitor> monitor_;   // null: health is somebody else's
  std::unique_ptr<MetricsScraper> scraper_;    // null: nobody asks for metrics
  std::unique_ptr<OutlierEjection> ejection_;  // null: off
  std::unique_ptr<Discovery> discovery_;       // null: the endpoints are given
  std::unique_ptr<NameWatch> name_watch_;      // of given endpoints that have names; null: none
  // By name, those for which there was no slot; no more than discovery_ gave.
  std::map<std::string, Endpoint> refused_;
  TimerId release_timer_ = kNoTimer;
  mutable std::atomic<bool> settled_{false};
};

}  // namespace kvasir
