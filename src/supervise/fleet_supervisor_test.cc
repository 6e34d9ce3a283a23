#include "supervise/fleet_supervisor.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>

#include "net/io/event_loop.h"
#include "net/io/resolver_fixture.h"
#include "net/io/socket.h"
#include "supervise/fleet_commands.h"
#include "supervise/fleet_description.h"
#include "supervise/health_check.h"
#include "supervise/port_lease.h"
#include "supervise/process.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

bool process_exists(int64_t pid) {
  return ::kill(static_cast<pid_t>(pid), 0) == 0;
}

class FleetSupervisorTest : public ::testing::Test {
 protected:
  FleetSupervisorTest() : loop_(std::move(EventLoop::create().value())) {
    std::string name = (std::filesystem::temp_directory_path() / "supervise-XXXXXX").string();
    logs_ = mkdtemp(name.data());
    options_.binary = KVASIR_FAKE_PROGRAM;
    options_.workers = 2;
    options_.port = 0;
    options_.log_directory = logs_;
  }
  ~FleetSupervisorTest() override {
    fleet_.reset();
    std::filesystem::remove_all(logs_);
  }

  Result<void> start() {
    Result<std::unique_ptr<FleetSupervisor>> started = FleetSupervisor::start(*loop_, options_);
    if (!started) return started.error();
    fleet_ = std::move(*started);
    std::optional<Result<void>> outcome;
    fleet_->when_ready([&](Result<void> ready) {
      outcome = std::move(ready);
      loop_->stop();
    });
    loop_->run();
    return *outcome;
  }

  void stop(Duration grace) {
    fleet_->stop(grace, [this] { loop_->stop(); });
    loop_->run();
  }

  // Runs the loop until the condition holds; gives up after ten seconds.
  bool run_until(const std::function<bool()>& condition) {
    const SteadyClock clock;
    const TimePoint deadline = clock.now() + seconds(10);
    while (!condition() && clock.now() < deadline) {
      loop_->after(milliseconds(5), [this] { loop_->stop(); });
      loop_->run();
    }
    return condition();
  }

  bool answers(uint16_t port) {
    bool healthy = false;
    FakeResolver resolver;
    const HealthCheck check(*loop_, resolver, {"127.0.0.1", port}, [&] { healthy = true; });
    return run_until([&] { return healthy; });
  }

  std::string read_log(const std::string& name) const {
    std::ifstream file(logs_ + "/" + name + ".log");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::unique_ptr<EventLoop> loop_;
  std::string logs_;
  FleetOptions options_;
  std::unique_ptr<FleetSupervisor> fleet_;
};

TEST_F(FleetSupervisorTest, StartsAnswersAndStops) {
  ASSERT_TRUE(start().ok());
  const std::vector<ProcessStatus> processes = fleet_->processes();
  ASSERT_EQ(processes.size(), 3u);
  EXPECT_EQ(processes[0].name, "gateway");
  EXPECT_EQ(processes[2].name, "worker-1");
  EXPECT_EQ(processes[0].port, fleet_->gateway_port());
  EXPECT_THAT(fleet_->worker_urls()[1], EndsWith(":" + std::to_string(processes[2].port)));
  for (const ProcessStatus& process : processes) {
    EXPECT_TRUE(process.alive);
    EXPECT_TRUE(answers(process.port));
    EXPECT_TRUE(std::filesystem::exists(logs_ + "/" + process.name + ".log"));
  }
  stop(seconds(10));
  for (const ProcessStatus& process : processes) EXPECT_FALSE(process_exists(process.pid));
}

TEST_F(FleetSupervisorTest, ADescribedFleetStartsInStages) {
  FleetDescription fleet;
  for (const char* name : {"prefill", "decode"}) {
    fleet.groups.push_back(
        {name, FleetProgram::kWorker, 2, {}, {{"FAKE_SAYS", "I am {name}"}}, {}, "worker", ""});
  }
  fleet.groups.push_back(
      {"proxy", FleetProgram::kPdProxy, 1, {"--prefill={prefill.url}"}, {}, {}, "proxy", ""});
  fleet.gateway = {"gateway", FleetProgram::kGateway, 1, {}, {}, {}, "gateway", ""};
  fleet.endpoints = {"proxy"};
  options_.description = std::make_shared<const FleetDescription>(fleet);
  ASSERT_TRUE(start().ok());
  std::vector<std::string> names;
  for (const ProcessStatus& process : fleet_->processes()) {
    names.push_back(process.name);
    EXPECT_TRUE(answers(process.port)) << process.name;
  }
  EXPECT_THAT(names,
              ElementsAre("gateway", "proxy", "prefill-0", "prefill-1", "decode-0", "decode-1"));
  EXPECT_EQ(fleet_->processes()[1].about, "proxy");
  EXPECT_EQ(fleet_->worker_urls().size(), 4u);
  EXPECT_TRUE(std::filesystem::exists(logs_ + "/endpoints.yaml"));
  EXPECT_THAT(read_log("decode-1"), HasSubstr("I am decode-1"));
  stop(seconds(10));
  for (const ProcessStatus& process : fleet_->processes()) EXPECT_FALSE(process.alive);
}

TEST_F(FleetSupervisorTest, AProxyThatFailsIsNamedAndNoGatewayStarts) {
  FleetDescription fleet;
  fleet.groups.push_back({"worker", FleetProgram::kWorker, 1, {}, {}, {}, "worker", ""});
  fleet.groups.push_back({"proxy", FleetProgram::kPdProxy, 1, {"--die=1"}, {}, {}, "proxy", ""});
  fleet.gateway = {"gateway", FleetProgram::kGateway, 1, {}, {}, {}, "gateway", ""};
  fleet.endpoints = {"worker"};
  options_.description = std::make_shared<const FleetDescription>(fleet);
  const Result<void> started = start();
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(
      started.error().message,
      "proxy exited with status 3 while starting: reading the profile; no such profile: banana");
  EXPECT_FALSE(std::filesystem::exists(logs_ + "/gateway.log"));
}

TEST_F(FleetSupervisorTest, SeveralGatewaysStandInFrontOfTheSameWorkers) {
  options_.gateways = 2;
  ASSERT_TRUE(start().ok());
  const std::vector<ProcessStatus> processes = fleet_->processes();
  ASSERT_EQ(processes.size(), 4u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(processes[i].name, "gateway-" + std::to_string(i));
    EXPECT_EQ(processes[i].port, fleet_->gateway_port(i));
    EXPECT_TRUE(answers(fleet_->gateway_port(i)));
  }
  EXPECT_NE(fleet_->gateway_port(0), fleet_->gateway_port(1));
  EXPECT_EQ(processes[2].name, "worker-0");
  stop(seconds(10));
  for (const ProcessStatus& process : processes) EXPECT_FALSE(process_exists(process.pid));
}

TEST_F(FleetSupervisorTest, AKilledProcessComesBackOnItsPort) {
  ASSERT_TRUE(start().ok());
  for (const size_t index : {size_t{0}, size_t{1}}) {
    const ProcessStatus before = fleet_->processes()[index];
    ::kill(static_cast<pid_t>(before.pid), SIGKILL);
    ASSERT_TRUE(run_until([&] { return fleet_->processes()[index].restarts == 1; }));
    const ProcessStatus after = fleet_->processes()[index];
    EXPECT_EQ(after.port, before.port);
    EXPECT_NE(after.pid, before.pid);
    EXPECT_TRUE(answers(after.port));
  }
}

TEST_F(FleetSupervisorTest, AWorkerThatDiesAtStartIsNamedWithItsLastLines) {
  options_.worker_arguments = {"--die", "1"};
  const Result<void> outcome = start();
  ASSERT_FALSE(outcome.ok());
  EXPECT_THAT(outcome.error().message,
              AllOf(HasSubstr("worker-"), HasSubstr("exited with status 3 while starting: reading "
                                                    "the profile; no such profile: banana")));
}

TEST_F(FleetSupervisorTest, AGatewayThatDiesAtStartIsNamed) {
  options_.policy = "unknown";
  const Result<void> outcome = start();
  ASSERT_FALSE(outcome.ok());
  EXPECT_THAT(outcome.error().message,
              AllOf(HasSubstr("gateway exited with status 3"), HasSubstr("banana")));
}

TEST_F(FleetSupervisorTest, LinesOfAnEarlierRunAreNotBlamed) {
  std::ofstream(logs_ + "/worker-0.log") << "an old line\n";
  options_.workers = 1;
  options_.worker_arguments = {"--die", "1"};
  EXPECT_THAT(start().error().message, Not(HasSubstr("old")));
}

TEST_F(FleetSupervisorTest, AGatewayPortInUseFailsBeforeAnythingStarts) {
  const Descriptor other = std::move(listen_tcp("127.0.0.1", 0, false).value());
  options_.port = local_port(other);
  const Result<void> outcome = start();
  ASSERT_FALSE(outcome.ok());
  EXPECT_THAT(outcome.error().message, HasSubstr("already in use"));
  EXPECT_FALSE(std::filesystem::exists(logs_ + "/worker-0.log"));
}

TEST_F(FleetSupervisorTest, AMissingBinaryIsNamed) {
  options_.binary = "/no/such/kvasir";
  EXPECT_EQ(start().error().message, "cannot run /no/such/kvasir: No such file or directory");
}

TEST_F(FleetSupervisorTest, AWorkerThatNeverAnswersIsTooLate) {
  options_.worker_arguments = {"--deaf", "1"};
  options_.ready_timeout = milliseconds(300);
  EXPECT_THAT(start().error().message, AllOf(HasSubstr("worker-0"), HasSubstr("did not answer")));
}

TEST_F(FleetSupervisorTest, WorkersThatRunAlreadyAreUsed) {
  ASSERT_TRUE(start().ok());
  FleetOptions options = options_;
  options.worker_urls = fleet_->worker_urls();
  options.log_directory += "/second";
  const auto second = std::move(FleetSupervisor::start(*loop_, options).value());
  bool ready = false;
  second->when_ready([&](const Result<void>& outcome) { ready = outcome.ok(); });
  EXPECT_TRUE(run_until([&] { return ready; }));
  EXPECT_EQ(second->processes().size(), 1u);
  EXPECT_EQ(second->worker_urls(), fleet_->worker_urls());
}

// A worker that runs already is enough; one that refuses connections is named, once.
TEST_F(FleetSupervisorTest, OfWorkersThatRunAlreadyOneIsEnough) {
  ASSERT_TRUE(start().ok());
  const PortLease dead = std::move(PortLease::take("127.0.0.1", 0).value());
  const std::string dead_url = "http://127.0.0.1:" + std::to_string(dead.port());
  FleetOptions options = options_;
  options.worker_urls = {dead_url, fleet_->worker_urls()[0]};
  options.log_directory += "/second";
  options.every_worker_timeout = milliseconds(100);
  std::vector<std::string> told;
  options.notify = [&](const std::string& line) { told.push_back(line); };
  const auto second = std::move(FleetSupervisor::start(*loop_, options).value());
  bool ready = false;
  second->when_ready([&](const Result<void>& outcome) { ready = outcome.ok(); });
  EXPECT_TRUE(run_until([&] { return ready; }));
  EXPECT_TRUE(answers(second->gateway_port()));
  EXPECT_THAT(told, ElementsAre(AllOf(HasSubstr("without " + dead_url + " ("),
                                      HasSubstr("Connection refused"))));
}

TEST_F(FleetSupervisorTest, AWorkerMayGetItsAddressLate) {
  ASSERT_TRUE(start().ok());
  const HostPort origin{"late.svc", fleet_->gateway_port()};
  FakeResolver resolver;
  resolver.fail("late.svc", "the resolver is away");
  bool healthy = false;
  const HealthCheck check(*loop_, resolver, origin, [&] { healthy = true; });
  ASSERT_TRUE(run_until([&] { return check.reason() == "the resolver is away"; }));
  resolver.set("late.svc", {});
  ASSERT_TRUE(run_until([&] { return check.reason() == "its name has no address"; }));
  EXPECT_FALSE(healthy);
  resolver.set("late.svc", {"127.0.0.1"});
  EXPECT_TRUE(run_until([&] { return healthy; }));
}

TEST_F(FleetSupervisorTest, WorkersThatRunAlreadyAreWaitedForWithTheReason) {
  options_.workers = 1;
  options_.worker_arguments = {"--deaf", "1"};
  options_.ready_timeout = seconds(10);
  const auto deaf = std::move(FleetSupervisor::start(*loop_, options_).value());
  ASSERT_TRUE(run_until([&] {
    return std::filesystem::file_size(logs_ + "/worker-0.log") > 0;  // it listens
  }));
  options_.worker_urls = deaf->worker_urls();
  options_.log_directory += "/second";
  options_.every_worker_timeout = milliseconds(500);
  options_.ready_timeout = seconds(1);
  std::vector<std::string> told;
  options_.notify = [&](const std::string& line) { told.push_back(line); };
  const Result<void> outcome = start();
  ASSERT_FALSE(outcome.ok());
  const std::string whom = options_.worker_urls[0] + " (it answers 503)";
  EXPECT_THAT(told, ElementsAre("Waiting for one of: " + whom));
  EXPECT_THAT(outcome.error().message, HasSubstr(whom + " did not answer GET /health"));
}

TEST_F(FleetSupervisorTest, AWorkerThatComesLateIsEnough) {
  PortLease late = std::move(PortLease::take("127.0.0.1", 0).value());
  options_.worker_urls = {"http://127.0.0.1:" + std::to_string(late.port())};
  options_.every_worker_timeout = milliseconds(50);
  options_.ready_timeout = seconds(30);
  std::unique_ptr<Process> worker;
  options_.notify = [&](const std::string& line) {
    EXPECT_THAT(line, HasSubstr("Connection refused"));
    ASSERT_EQ(worker, nullptr) << "told twice";
    Process::Command command;
    command.binary = KVASIR_FAKE_PROGRAM;
    command.arguments = {"worker", "--host", "127.0.0.1", "--port", std::to_string(late.port())};
    worker = std::move(Process::start(*loop_, command, [](const std::string&) {}).value());
  };
  EXPECT_TRUE(start().ok());
  EXPECT_NE(worker, nullptr);
}

TEST_F(FleetSupervisorTest, WhatIgnoresSigtermIsKilled) {
  options_.worker_arguments = {"--stubborn", "1"};
  ASSERT_TRUE(start().ok());
  const std::vector<ProcessStatus> processes = fleet_->processes();
  stop(milliseconds(100));
  for (const ProcessStatus& process : processes) EXPECT_FALSE(process_exists(process.pid));
}

TEST_F(FleetSupervisorTest, StopDuringAPauseBeforeARestartEnds) {
  ASSERT_TRUE(start().ok());
  const ProcessStatus worker = fleet_->processes()[1];
  ::kill(static_cast<pid_t>(worker.pid), SIGKILL);
  ASSERT_TRUE(run_until([&] { return !fleet_->processes()[1].alive; }));
  stop(seconds(10));
  EXPECT_EQ(fleet_->processes()[1].restarts, 0u);
}

TEST_F(FleetSupervisorTest, DestroyingItLeavesNothing) {
  ASSERT_TRUE(start().ok());
  const std::vector<ProcessStatus> processes = fleet_->processes();
  fleet_.reset();
  for (const ProcessStatus& process : processes) EXPECT_FALSE(process_exists(process.pid));
}

// A second process runs the fleet and tells the workers' pids through a pipe; then it is killed.
TEST_F(FleetSupervisorTest, KillingTheSupervisorKillsItsChildren) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // so that the orphans come to us to be waited for
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Descriptor read_end(ends[0]);
  Descriptor write_end(ends[1]);
  const pid_t supervisor = fork();
  if (supervisor == 0) {
    loop_ = std::move(EventLoop::create().value());
    if (!start()) _exit(1);
    for (const ProcessStatus& process : fleet_->processes()) {
      [[maybe_unused]] const ssize_t count =
          write(write_end.get(), &process.pid, sizeof process.pid);
    }
    pause();
  }
  write_end = Descriptor();
  int64_t pids[3];
  for (int64_t& pid : pids) ASSERT_EQ(read(read_end.get(), &pid, sizeof pid), ssize_t{sizeof pid});
  ::kill(supervisor, SIGKILL);
  waitpid(supervisor, nullptr, 0);
  for (const int64_t pid : pids) {
    int status = 0;
    ASSERT_EQ(waitpid(static_cast<pid_t>(pid), &status, 0), pid);
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
  }
}

std::string after(const std::vector<std::string>& words, const std::string& flag) {
  const auto at = std::find(words.begin(), words.end(), flag);
  return at == words.end() || at + 1 == words.end() ? "" : at[1];
}

TEST(FleetCommands, TheGatewayListensWhereEachWorkerPublishes) {
  FleetOptions options;
  EXPECT_EQ(after(worker_command(options, 9001), "--kv-events-config"), "");
  EXPECT_EQ(after(gateway_command(options, 8000, {"http://127.0.0.1:9001"}), "--kv-events"), "");
  options.kv_events = true;
  const std::string config = after(worker_command(options, 9001), "--kv-events-config");
  const auto gateway = gateway_command(options, 8000, {"http://127.0.0.1:9001"});
  for (const auto& [flag, key] : {std::pair<const char*, const char*>{"--kv-events", "endpoint"},
                                  {"--kv-replay", "replay_endpoint"}}) {
    std::string place = after(gateway, flag);
    ASSERT_NE(place.find("PORT"), std::string::npos) << flag;
    place.replace(place.find("PORT"), 4, "9001");
    const std::string member = std::string("\"") + key + "\":\"" + place + "\"";
    EXPECT_NE(config.find(member), std::string::npos) << config << " has no " << member;
  }
  // Those that run already were not told to publish.
  options.worker_urls = {"http://127.0.0.1:9001"};
  EXPECT_EQ(after(gateway_command(options, 8000, options.worker_urls), "--kv-events"), "");
  options.given_workers_publish = true;
  EXPECT_EQ(after(gateway_command(options, 8000, options.worker_urls), "--kv-events"), "auto");
}

}  // namespace
}  // namespace kvasir
