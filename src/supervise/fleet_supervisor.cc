#include "supervise/fleet_supervisor.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "net/io/event_loop.h"
#include "net/io/system_resolver.h"
#include "supervise/child.h"
#include "supervise/fleet_commands.h"
#include "supervise/fleet_plan.h"
#include "supervise/health_check.h"
#include "supervise/port_lease.h"

namespace kvasir {
namespace {

constexpr size_t kNamedWorkersMost = 8;  // in one line

}  // namespace

// Workers first, gateways last, each stage when all before it answer, so that the first look of who
// sends to them finds them healthy. Workers that others run may be down for long: some of those are
// enough.
class FleetSupervisor::State final : public Child::Observer {
 public:
  State(EventLoop& loop, const FleetOptions& options) : loop_(loop), options_(options) {}
  ~State() override {
    loop_.cancel(timer_);
    loop_.cancel(every_worker_timer_);
  }

  Result<void> start();
  void when_ready(std::function<void(Result<void>)> ready);
  void stop(Duration grace, std::function<void()> stopped);

  uint16_t gateway_port(size_t which) const { return stages_.back().at(which)->port(); }
  const std::vector<std::string>& worker_urls() const { return worker_urls_; }
  std::vector<ProcessStatus> processes() const;

 private:
  using Stage = std::vector<std::unique_ptr<Child>>;

  Result<void> prepare();
  Result<void> add_described(PortLease gateway);
  Result<void> write_plan(const std::vector<PlannedProcess>& processes) const;
  Result<void> add_workers();
  Result<void> add_gateways(PortLease first);
  Result<void> watch_worker_urls();
  std::unique_ptr<Child> make_child(std::string name, PortLease lease,
                                    std::vector<std::string> arguments,
                                    std::vector<std::string> variables = {});
  void on_child_ready() override { advance(); }
  void on_child_failed(const Error& reason) override;
  void on_child_stopped() override;
  void advance();
  bool enough_are_healthy() const;
  std::string unhealthy_worker_urls() const;
  void on_workers_missing();
  void go_on_without_missing();
  void start_next_stage();
  Result<void> start_stage(const Stage& stage);
  void on_too_late();
  // What workers that run already are asked for.
  std::string health_path() const {
    return options_.health_path.empty() ? "/health" : options_.health_path;
  }
  void tell(const std::string& line) const;
  void settle(Result<void> outcome);
  void report();
  void kill_all();
  // The last stage's first.
  template <typename Visit>
  void visit(const Visit& each) const {
    for (size_t i = stages_.size(); i-- > 0;) {
      std::for_each(stages_[i].begin(), stages_[i].end(), each);
    }
  }
  // Runs `work` from the loop, unless the supervisor is gone by then.
  void soon(std::function<void()> work);

  EventLoop& loop_;
  FleetOptions options_;
  SystemResolver resolver_;
  std::vector<Stage> stages_;                 // the last one: gateways
  size_t started_ = 0;                        // of these
  std::map<std::string, std::string> about_;  // by a process's name
  std::vector<PortLease> further_leases_;     // held for as long as the fleet lives
  std::vector<std::string> worker_urls_;
  std::vector<std::unique_ptr<HealthCheck>> external_checks_;
  std::vector<bool> external_healthy_;
  bool wait_for_every_worker_ = true;
  std::optional<Result<void>> outcome_;  // of starting
  std::function<void(Result<void>)> ready_;
  std::function<void()> stopped_;
  TimerId timer_ = kNoTimer;  // first ready_timeout, later the grace of stop()
  TimerId every_worker_timer_ = kNoTimer;
  const std::shared_ptr<bool> life_ = std::make_shared<bool>(true);
};

Result<void> FleetSupervisor::State::start() {
  Result<void> prepared = prepare();
  if (!prepared) return prepared;
  Result<void> started = start_stage(stages_[started_++]);
  if (!started) return started;
  Result<void> watched = watch_worker_urls();
  if (!watched) return watched;
  timer_ = loop_.after(options_.ready_timeout, [this] { on_too_late(); });
  return {};
}

// Whatever can be wrong before the first process starts.
Result<void> FleetSupervisor::State::prepare() {
  Result<PortLease> gateway_lease = PortLease::take(options_.host, options_.port);
  if (!gateway_lease) return gateway_lease.error();
  const Result<std::string> binary = find_binary(options_.binary);
  if (!binary) return binary.error();
  options_.binary = *binary;
  if (!options_.log_directory.empty()) {
    std::error_code error;
    std::filesystem::create_directories(options_.log_directory, error);
    if (error) return Error{"cannot make " + options_.log_directory + ": " + error.message()};
  }
  if (options_.description) return add_described(std::move(*gateway_lease));
  worker_urls_ = options_.worker_urls;
  stages_.emplace_back();
  if (worker_urls_.empty()) {
    Result<void> added = add_workers();
    if (!added) return added;
  }
  return add_gateways(std::move(*gateway_lease));
}

Result<void> FleetSupervisor::State::add_described(PortLease gateway) {
  Result<std::vector<PlannedProcess>> planned =
      plan_fleet(*options_.description, options_, std::move(gateway));
  if (!planned) return planned.error();
  if (Result<void> written = write_plan(*planned); !written) return written;
  std::optional<FleetProgram> last;
  for (PlannedProcess& process : *planned) {
    if (last != process.program) stages_.emplace_back();
    last = process.program;
    about_[process.name] = process.about;
    std::vector<PortLease>& leases = process.leases;
    const HostPort address{options_.host, leases[0].port()};
    if (process.program == FleetProgram::kWorker)
      worker_urls_.push_back("http://" + to_string(address));
    stages_.back().push_back(make_child(process.name, std::move(leases[0]),
                                        std::move(process.arguments),
                                        std::move(process.variables)));
  }
  for (PlannedProcess& process : *planned) {
    std::move(process.leases.begin() + 1, process.leases.end(),
              std::back_inserter(further_leases_));
  }
  return {};
}

Result<void> FleetSupervisor::State::write_plan(
    const std::vector<PlannedProcess>& processes) const {
  const std::pair<std::string, std::string> files[] = {
      {endpoints_path(options_), endpoints_text(*options_.description, options_, processes)},
      {processes_path(options_), processes_text(options_, processes)}};
  for (const auto& [path, text] : files) {
    std::ofstream file(path);
    file << text;
    file.close();
    if (!file) return Error{"cannot write " + path};
  }
  return {};
}

Result<void> FleetSupervisor::State::add_workers() {
  for (uint32_t i = 0; i < options_.workers; ++i) {
    Result<PortLease> lease = PortLease::take(options_.host, 0);
    if (!lease) return lease.error();
    const uint16_t port = lease->port();
    worker_urls_.push_back("http://" + to_string(HostPort{options_.host, port}));
    stages_.back().push_back(make_child("worker-" + std::to_string(i), std::move(*lease),
                                        worker_command(options_, port)));
  }
  return {};
}

Result<void> FleetSupervisor::State::add_gateways(PortLease first) {
  if (worker_urls_.empty()) return Error{"a fleet needs at least one worker"};
  if (options_.gateways == 0) return Error{"a fleet needs at least one gateway"};
  Result<PortLease> lease = std::move(first);
  stages_.emplace_back();
  for (uint32_t i = 0; i < options_.gateways; ++i) {
    if (i > 0) lease = PortLease::take(options_.host, 0);
    if (!lease) return lease.error();
    const uint16_t port = lease->port();
    const std::string number = options_.gateways > 1 ? "-" + std::to_string(i) : "";
    stages_.back().push_back(make_child("gateway" + number, std::move(*lease),
                                        gateway_command(options_, port, worker_urls_)));
  }
  return {};
}

std::unique_ptr<Child> FleetSupervisor::State::make_child(std::string name, PortLease lease,
                                                          std::vector<std::string> arguments,
                                                          std::vector<std::string> variables) {
  Process::Command command;
  command.binary = options_.binary;
  command.variables = std::move(variables);
  command.arguments = std::move(arguments);
  if (!options_.log_directory.empty()) {
    command.log_file = options_.log_directory + "/" + name + ".log";
  }
  const HostPort address{options_.host, lease.port()};
  return std::make_unique<Child>(loop_, resolver_, std::move(name), address, std::move(lease),
                                 std::move(command), *this);
}

Result<void> FleetSupervisor::State::watch_worker_urls() {
  external_healthy_.resize(options_.worker_urls.size());
  for (size_t i = 0; i < options_.worker_urls.size(); ++i) {
    const Result<HostPort> origin = parse_http_origin(options_.worker_urls[i]);
    if (!origin) return origin.error();
    const auto on_healthy = [this, i] {
      external_healthy_[i] = true;
      advance();
    };
    external_checks_.push_back(
        std::make_unique<HealthCheck>(loop_, resolver_, *origin, on_healthy, health_path()));
  }
  if (!external_checks_.empty()) {
    every_worker_timer_ =
        loop_.after(options_.every_worker_timeout, [this] { on_workers_missing(); });
  }
  return {};
}

void FleetSupervisor::State::advance() {
  if (outcome_) return;
  const Stage& stage = stages_[started_ - 1];
  const bool ready =
      std::all_of(stage.begin(), stage.end(), [](const auto& child) { return child->ready(); });
  if (!ready || !enough_are_healthy()) return;
  if (started_ < stages_.size()) return start_next_stage();
  settle({});
}

// Of the workers that run already.
bool FleetSupervisor::State::enough_are_healthy() const {
  const auto healthy = std::count(external_healthy_.begin(), external_healthy_.end(), true);
  const bool every_one = healthy == static_cast<ptrdiff_t>(external_healthy_.size());
  return every_one || (healthy > 0 && !wait_for_every_worker_);
}

// "http://10.0.0.1:8000 (cannot connect: Connection refused), ...": a few of them.
std::string FleetSupervisor::State::unhealthy_worker_urls() const {
  std::string names;
  size_t count = 0;
  for (size_t i = 0; i < external_checks_.size(); ++i) {
    if (external_healthy_[i] || ++count > kNamedWorkersMost) continue;
    names.append(names.empty() ? "" : ", ").append(worker_urls_[i]);
    names.append(" (").append(external_checks_[i]->reason()).append(")");
  }
  if (count > kNamedWorkersMost) {
    names.append(" and ").append(std::to_string(count - kNamedWorkersMost)).append(" more");
  }
  return names;
}

void FleetSupervisor::State::on_workers_missing() {
  wait_for_every_worker_ = false;
  if (started_ == stages_.size() || outcome_) return;
  if (!enough_are_healthy()) return tell("Waiting for one of: " + unhealthy_worker_urls());
  advance();
}

void FleetSupervisor::State::start_next_stage() {
  go_on_without_missing();
  const Result<void> started = start_stage(stages_[started_++]);
  if (!started) settle(started);
}

Result<void> FleetSupervisor::State::start_stage(const Stage& stage) {
  for (const auto& child : stage) {
    Result<void> started = child->start();
    if (!started) return started;
  }
  return {};
}

void FleetSupervisor::State::go_on_without_missing() {
  const std::string missing = unhealthy_worker_urls();
  if (!missing.empty()) {
    tell("warning: going on without " + missing + "; the gateway sends requests there once GET " +
         health_path() + " answers 200");
  }
  soon([this] { external_checks_.clear(); });  // one of them may be calling
}

void FleetSupervisor::State::tell(const std::string& line) const {
  if (options_.notify) options_.notify(line);
}

void FleetSupervisor::State::on_child_failed(const Error& reason) {
  settle(reason);
}

void FleetSupervisor::State::on_too_late() {
  std::string silent;
  if (started_ < stages_.size() && !external_checks_.empty()) silent = unhealthy_worker_urls();
  for (const auto& child : stages_[started_ - 1]) {
    if (silent.empty() && !child->ready()) silent = child->name() + " (" + child->log_words() + ")";
  }
  const int64_t seconds =
      std::chrono::duration_cast<std::chrono::seconds>(options_.ready_timeout).count();
  settle(Error{silent + " did not answer GET " + health_path() + " with 200 within " +
               std::to_string(seconds) + " s"});
}

void FleetSupervisor::State::settle(Result<void> outcome) {
  if (outcome_) return;
  outcome_ = std::move(outcome);
  loop_.cancel(timer_);
  report();
}

void FleetSupervisor::State::when_ready(std::function<void(Result<void>)> ready) {
  ready_ = std::move(ready);
  report();
}

void FleetSupervisor::State::report() {
  if (!outcome_ || !ready_) return;
  soon([outcome = *outcome_, ready = std::exchange(ready_, nullptr)] { ready(outcome); });
}

void FleetSupervisor::State::soon(std::function<void()> work) {
  loop_.post([life = std::weak_ptr<bool>(life_), work = std::move(work)] {
    if (!life.expired()) work();
  });
}

void FleetSupervisor::State::stop(Duration grace, std::function<void()> stopped) {
  settle(Error{"it was stopped before it was ready"});
  stopped_ = std::move(stopped);
  external_checks_.clear();
  visit([](const auto& child) { child->stop(); });
  timer_ = loop_.after(grace, [this] { kill_all(); });
  on_child_stopped();
}

void FleetSupervisor::State::kill_all() {
  visit([](const auto& child) { child->kill(); });
}

void FleetSupervisor::State::on_child_stopped() {
  bool any_lives = false;
  visit([&any_lives](const auto& child) { any_lives = any_lives || child->alive(); });
  if (any_lives) return;
  if (stopped_) soon(std::exchange(stopped_, nullptr));
}

std::vector<ProcessStatus> FleetSupervisor::State::processes() const {
  std::vector<ProcessStatus> all;
  visit([&](const auto& child) {
    ProcessStatus status;
    status.name = child->name();
    const auto about = about_.find(status.name);
    if (about != about_.end()) status.about = about->second;
    status.port = child->port();
    status.pid = child->pid();
    status.alive = child->alive();
    status.restarts = child->restarts();
    all.push_back(std::move(status));
  });
  return all;
}

Result<std::unique_ptr<FleetSupervisor>> FleetSupervisor::start(EventLoop& loop,
                                                                const FleetOptions& options) {
  auto state = std::make_unique<State>(loop, options);
  const Result<void> started = state->start();
  if (!started) return started.error();
  return std::unique_ptr<FleetSupervisor>(new FleetSupervisor(std::move(state)));
}

FleetSupervisor::FleetSupervisor(std::unique_ptr<State> state) : state_(std::move(state)) {}
FleetSupervisor::~FleetSupervisor() = default;

void FleetSupervisor::when_ready(std::function<void(Result<void>)> ready) {
  state_->when_ready(std::move(ready));
}
uint16_t FleetSupervisor::gateway_port(size_t which) const {
  return state_->gateway_port(which);
}
const std::vector<std::string>& FleetSupervisor::worker_urls() const {
  return state_->worker_urls();
}
std::vector<ProcessStatus> FleetSupervisor::processes() const {
  return state_->processes();
}
void FleetSupervisor::stop(Duration grace, std::function<void()> stopped) {
  state_->stop(grace, std::move(stopped));
}

}  // namespace kvasir
