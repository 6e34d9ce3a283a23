// Watches the endpoints of a fleet: asks each for its health, once every interval, and reads once
// from GET /metrics, when it comes up, how large its KV cache is. (What changes there is
// feeds/metrics_scraper.h's.)
//
// An endpoint starts unhealthy; what makes it healthy and unhealthy is feeds/endpoint_health.h's. A
// request that could not connect, or whose connection was closed on it, has its endpoint checked at
// once. Lives on one loop's thread; the report_...() may be called from any.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/lifeline.h"
#include "feeds/address_book.h"
#include "feeds/endpoint_health.h"
#include "feeds/page_probe.h"
#include "feeds/scrape_plan.h"
#include "model/endpoint.h"
#include "net/http/http_client.h"

namespace kvasir {

class EventLoop;
class Fleet;

struct MonitorOptions {
  // What is asked for; 200 to 299 is healthy. An endpoint whose engine, named by its label, is in
  // `engine_paths` is asked for that instead.
  std::string path = "/health";
  std::string engine_label = std::string(kEngineLabel);
  std::map<std::string, std::string, std::less<>> engine_paths = {
      {"triton", "/v2/health/ready"}, {"triton-tensorrt-llm", "/v2/health/ready"}};
  Duration interval = std::chrono::seconds(1);
  // Until an endpoint has been healthy once, and while it is suspected, it is asked this often.
  Duration first_interval = std::chrono::milliseconds(50);
  HealthRules rules = {};
  // When nobody is healthy, endpoints may be tried that take connections at least.
  bool try_unhealthy = true;

  const std::string& path_of(const Endpoint& endpoint) const;
};

class MonitorProbe : public virtual PageProbe {
 public:
  virtual void on_health_changed(const Endpoint& endpoint, bool healthy) = 0;
  // It was healthy, and is not watched any more: it has left, or moved.
  virtual void on_unwatched(const Endpoint& endpoint) { on_health_changed(endpoint, false); }
  // The first failed check after a good one, or of all.
  virtual void on_check_failed(const Endpoint& endpoint, std::string_view path,
                               std::string_view why) {
    static_cast<void>(endpoint), static_cast<void>(path), static_cast<void>(why);
  }
};

class EndpointMonitor {
 public:
  // All references must outlive the monitor. An endpoint whose address is not in the book stays
  // unhealthy. `still_down` is called when an endpoint became unhealthy, and after each further
  // check that failed.
  EndpointMonitor(EventLoop& loop, Fleet& fleet, const AddressBook& addresses, MonitorProbe& probe,
                  MonitorOptions options, std::function<void(EndpointId)> still_down = {});
  ~EndpointMonitor();

  // Endpoints came or went: watch those that are there. On the loop's thread, after each change of
  // membership.
  void follow_fleet();

  // What a request found. Thread-safe. report_served() is as good as free: it is called for every
  // answer.
  void report_served(EndpointId endpoint);
  void report_connect_failure(EndpointId endpoint);
  void report_closed(EndpointId endpoint);

  // Every endpoint was asked at least once, whatever it answered. Thread-safe.
  bool settled() const { return unasked_ == 0; }

 private:
  class Watched;
  // Of a slot, between the threads that answer requests and this one.
  struct News {
    std::atomic<bool> served{false};   // a request, since somebody looked
    std::atomic<bool> is_down{false};  // unhealthy: a served request is news
  };

  EventLoop& loop_;
  Fleet& fleet_;
  const AddressBook& addresses_;
  MonitorProbe& probe_;
  const MonitorOptions options_;
  const std::function<void(EndpointId)> still_down_;  // may be empty
  std::atomic<size_t> unasked_{0};
  std::vector<News> news_;                         // by slot
  std::vector<std::unique_ptr<Watched>> watched_;  // by slot; null where nobody is
  Lifeline lifeline_;
  // Any thread: the endpoint's watcher is told on the loop.
  const std::function<void(EndpointId, void (Watched::*)())> tell_;
};

}  // namespace kvasir
