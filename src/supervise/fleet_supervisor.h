// Starts workers and gateways as one tree of processes, watches them, and stops them. Used by
// `kvasir up` and, once for each arm, by `kvasir bench ab`.
//
// A fleet has stages: workers, sidecars, proxies, gateways; each starts when all before it answer.
// A worker that dies is started again on its port, with growing pauses; a gateway that dies too.
// When the supervising process itself dies, however it dies, its children are killed with it
// (PR_SET_PDEATHSIG). All calls happen on the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace kvasir {

class EventLoop;
struct FleetDescription;

struct FleetOptions {
  std::string binary = "/proc/self/exe";  // the kvasir to run
  std::string host = "127.0.0.1";         // where everything listens
  uint32_t workers = 8;                   // to start; ignored when worker_urls is not empty
  std::vector<std::string> worker_urls;   // workers that run already: none is started
  std::string health_path;                // of those; empty: /health
  uint32_t gateways = 1;                  // in front of the same workers, each on its own
  uint16_t port = 8000;                   // of the first gateway; 0: a free one, as the others'
  double time_scale = 1;
  std::string policy = "kv";     // empty: the gateway's own default, or what DYN_ROUTER_MODE says
  std::string engine_profile;    // empty: the default
  // Workers publish KV events, and the gateway knows by them what their caches hold. Has no effect
  // on worker_urls.
  bool kv_events = false;
  // The same of worker_urls, which publish at the usual ports of their hosts.
  bool given_workers_publish = false;
  uint32_t gateway_threads = 0;               // of each; 0: the gateway's own default
  std::vector<std::string> worker_arguments;  // further arguments for each worker
  // A fleet as a file describes it, instead of workers, worker_urls, gateways, policy and
  // worker_arguments; needs a log directory, and a host that is an IP address.
  std::shared_ptr<const FleetDescription> description;
  std::string log_directory;  // made when missing; a file for each process; empty: they share
                              // standard error
  Duration ready_timeout = std::chrono::seconds(60);
  // Of worker_urls all are waited for so long; from then on one healthy worker is enough.
  Duration every_worker_timeout = std::chrono::seconds(1);
  // Told, in a line for a person, whom it waits for and whom it goes on without.
  std::function<void(const std::string&)> notify;
};

struct ProcessStatus {
  std::string name;   // "gateway" (of several "gateway-0", ...), "worker-0", ...
  std::string about;  // what it is, for a person: "prefill worker"
  uint16_t port = 0;
  int64_t pid = 0;
  bool alive = false;
  uint32_t restarts = 0;
};

class FleetSupervisor {
 public:
  // Starts everything. Fails at once when a port is taken, the binary or a file is missing; what
  // was started is stopped again. `loop` must outlive the supervisor.
  static Result<std::unique_ptr<FleetSupervisor>> start(EventLoop& loop,
                                                        const FleetOptions& options);
  // Kills what stop() has not stopped.
  ~FleetSupervisor();
  FleetSupervisor(const FleetSupervisor&) = delete;
  FleetSupervisor& operator=(const FleetSupervisor&) = delete;

  // Calls back once, from the loop: when every gateway and every worker (of worker_urls: at least
  // one) answer /health, or with the reason why not (a process exited while starting, with the last
  // lines it logged; or ready_timeout passed).
  void when_ready(std::function<void(Result<void>)> ready);

  uint16_t gateway_port(size_t which = 0) const;
  const std::vector<std::string>& worker_urls() const;
  // Gateways first, workers last.
  std::vector<ProcessStatus> processes() const;

  // SIGTERM to all, SIGKILL to what is left after `grace`; calls back when none is left. Once.
  void stop(Duration grace, std::function<void()> stopped);

 private:
  class State;
  explicit FleetSupervisor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace kvasir
