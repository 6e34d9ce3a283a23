// Watches a fleet while an arm runs on it: a process that dies or is started again, or a worker
// that does not answer /health, spoils the arm.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "bench/http_fetch.h"
#include "net/io/event_loop.h"
#include "net/io/system_resolver.h"
#include "supervise/fleet_supervisor.h"

namespace kvasir {

// What is wrong with a process that was well before; empty: nothing.
std::string problem_of(const ProcessStatus& process);

class FleetWatch {
 public:
  static constexpr Duration kInterval = std::chrono::seconds(1);
  static constexpr Duration kHealthTimeout = std::chrono::seconds(10);

  // Looks at once, then every kInterval. Both must outlive the watch.
  FleetWatch(EventLoop& loop, const FleetSupervisor& fleet);
  ~FleetWatch();
  FleetWatch(const FleetWatch&) = delete;
  FleetWatch& operator=(const FleetWatch&) = delete;

  // The first thing that went wrong.
  const std::optional<Error>& problem() const { return problem_; }

 private:
  void look();
  void ask_health(size_t worker);
  void on_health(size_t worker, const Result<HttpAnswer>& answer);
  void note(const std::string& problem);

  EventLoop& loop_;
  const FleetSupervisor& fleet_;
  SystemResolver resolver_;
  std::vector<std::shared_ptr<HttpFetch>> asked_;  // by worker; null: not being asked
  TimerId timer_ = kNoTimer;
  std::optional<Error> problem_;
};

}  // namespace kvasir
