// One run of `kvasir up`: starts the fleet, sends it a first request, tells what to try next, shows
// how it does, and stops it on SIGINT, SIGTERM or SIGHUP. Everything happens on one loop.
#pragma once

#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "apps/up_status.h"
#include "base/result.h"
#include "net/http/http_client.h"
#include "net/http/http_query.h"
#include "net/io/event_loop.h"
#include "net/io/signal_watcher.h"
#include "net/io/socket.h"
#include "supervise/fleet_supervisor.h"
#include "telemetry/line_writer.h"

namespace kvasir {

class UpSession {
 public:
  explicit UpSession(FleetOptions options) : options_(std::move(options)) {}
  UpSession(const UpSession&) = delete;
  UpSession& operator=(const UpSession&) = delete;

  // Returns when everything was stopped on request; fails when the fleet does not come up. Once.
  Result<void> run();

 private:
  Result<void> start_fleet();
  void on_ready(const Result<void>& outcome);
  void ask_for_model();
  void send_first_request();
  void on_first_answer(const HttpAnswer& answer, Duration took);
  void tick();
  void show(const std::optional<GatewayNumbers>& numbers);
  void say(const std::string& text);
  void on_signal();
  void fail(Error reason);
  std::string url() const { return "http://" + to_string(origin_); }

  static constexpr LineWriterLimits kOutputLimits{256 * 1024, std::chrono::milliseconds(1)};

  const FleetOptions options_;
  // Whoever reads standard output may be slow; the fleet must not wait for that.
  LineWriter out_{STDOUT_FILENO, false, "standard output", kOutputLimits};
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<SignalWatcher> signals_;
  std::unique_ptr<FleetSupervisor> fleet_;
  HostPort origin_;  // of the gateway
  std::unique_ptr<HttpClient> client_;
  std::unique_ptr<HttpQuery> query_;
  TimePoint started_at_;
  std::string model_;
  UpStatus status_;
  bool terminal_ = false;
  bool stopping_ = false;
  std::optional<Error> failure_;
};

}  // namespace kvasir
