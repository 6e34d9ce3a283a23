#include "bench/fleet_watch.h"

namespace kvasir {

std::string problem_of(const ProcessStatus& process) {
  if (process.restarts > 0) return process.name + " was restarted";
  if (!process.alive) return process.name + " died";
  return {};
}

FleetWatch::FleetWatch(EventLoop& loop, const FleetSupervisor& fleet)
    : loop_(loop), fleet_(fleet), asked_(fleet.worker_urls().size()) {
  look();
}

FleetWatch::~FleetWatch() {
  loop_.cancel(timer_);
}

void FleetWatch::look() {
  for (const ProcessStatus& process : fleet_.processes()) note(problem_of(process));
  for (size_t worker = 0; worker < asked_.size(); ++worker) ask_health(worker);
  timer_ = loop_.after(kInterval, [this] { look(); });
}

void FleetWatch::ask_health(size_t worker) {
  if (asked_[worker] != nullptr) return;
  const Result<HostPort> origin = parse_http_origin(fleet_.worker_urls()[worker]);
  if (!origin) return note(origin.error().message);
  asked_[worker] =
      start_fetch(loop_, resolver_, *origin, "/health", kHealthTimeout,
                  [this, worker](const Result<HttpAnswer>& answer) { on_health(worker, answer); });
}

void FleetWatch::on_health(size_t worker, const Result<HttpAnswer>& answer) {
  asked_[worker] = nullptr;
  const std::string url = fleet_.worker_urls()[worker] + "/health";
  if (!answer) return note(url + ": " + answer.error().message);
  const int status = answer->head.status();
  if (status != 200) note(url + " answers " + std::to_string(status));
}

void FleetWatch::note(const std::string& problem) {
  if (problem.empty() || problem_) return;
  problem_ = Error{problem};
}

}  // namespace kvasir
