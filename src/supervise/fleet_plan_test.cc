#include "supervise/fleet_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "supervise/fleet_supervisor.h"

namespace kvasir {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

FleetGroup group(const std::string& name, FleetProgram program, uint32_t count = 1) {
  FleetGroup group;
  group.name = name;
  group.program = program;
  group.count = count;
  return group;
}

class FleetPlan : public ::testing::Test {
 protected:
  FleetPlan() {
    fleet_.groups = {group("proxy", FleetProgram::kPdProxy),
                     group("decode", FleetProgram::kWorker, 2),
                     group("beside", FleetProgram::kSidecar, 2)};
    fleet_.groups[0].arguments = {"--decode={decode.url}"};
    fleet_.groups[1].labels = {{"llm-d.ai/role", "decode"}};
    fleet_.groups[1].variables = {{"SIDE", "{port.side}"}};
    fleet_.groups[2].beside = "decode";
    fleet_.gateway = group("gateway", FleetProgram::kGateway);
    fleet_.endpoints = {"decode"};
    options_.log_directory = "/logs";
    options_.policy.clear();
  }

  std::vector<PlannedProcess> plan() {
    return plan_fleet(fleet_, options_, std::move(PortLease::take("127.0.0.1", 0).value())).value();
  }
  static std::string port(const PlannedProcess& process, size_t which = 0) {
    return std::to_string(process.leases[which].port());
  }

  FleetDescription fleet_;
  FleetOptions options_;
};

TEST_F(FleetPlan, StartsWorkersThenSidecarsThenProxiesThenTheGateway) {
  std::vector<std::string> names;
  for (const PlannedProcess& process : plan()) names.push_back(process.name);
  EXPECT_THAT(names,
              ElementsAre("decode-0", "decode-1", "beside-0", "beside-1", "proxy", "gateway"));
}

TEST_F(FleetPlan, EachKnowsTheOthersPorts) {
  const std::vector<PlannedProcess> processes = plan();
  EXPECT_THAT(processes[4].arguments,
              ElementsAre("pd-proxy", "--host", "127.0.0.1", "--port", port(processes[4]),
                          "--decode=http://127.0.0.1:" + port(processes[0]),
                          "--decode=http://127.0.0.1:" + port(processes[1])));
  EXPECT_THAT(processes[3].arguments, Contains("--model-server-port=" + port(processes[1])));
  ASSERT_THAT(processes[1].leases, SizeIs(2));
  EXPECT_THAT(processes[1].variables, ElementsAre("SIDE=" + port(processes[1], 1)));
}

TEST_F(FleetPlan, TheGatewayReadsItsEndpointsWithTheirLabels) {
  const std::vector<PlannedProcess> processes = plan();
  EXPECT_THAT(processes[5].arguments, Contains("/logs/endpoints.yaml"));
  EXPECT_EQ(endpoints_text(fleet_, options_, processes),
            "endpoints:\n"
            "  - name: \"decode-0\"\n    address: \"127.0.0.1\"\n    port: " +
                port(processes[0]) +
                "\n    labels:\n      \"llm-d.ai/role\": \"decode\"\n"
                "  - name: \"decode-1\"\n    address: \"127.0.0.1\"\n    port: " +
                port(processes[1]) + "\n    labels:\n      \"llm-d.ai/role\": \"decode\"\n");
}

TEST_F(FleetPlan, KvEventsGoFromWorkersToAGatewayThatSendsToWorkersOnly) {
  options_.kv_events = true;
  EXPECT_THAT(plan()[0].arguments, Contains("--kv-events-config"));
  EXPECT_THAT(plan()[5].arguments, Contains("--kv-events"));
  fleet_.endpoints = {"decode", "proxy"};
  EXPECT_THAT(plan()[5].arguments, Not(Contains("--kv-events")));
}

TEST_F(FleetPlan, OwnFlagsForEventsWin) {
  options_.kv_events = true;
  fleet_.groups[1].arguments = {"--kv-events-config={}"};
  fleet_.gateway.arguments = {"--kv-events=auto"};
  const std::vector<PlannedProcess> processes = plan();
  EXPECT_THAT(processes[0].arguments, Not(Contains("--kv-events-config")));
  EXPECT_THAT(processes[5].arguments,
              AllOf(Contains("--kv-events=auto"), Not(Contains("--kv-events"))));
}

TEST_F(FleetPlan, ReferencesAreCheckedWithoutPorts) {
  EXPECT_TRUE(check_references(fleet_, fleet_.groups[1], "{port.side} {proxy.url}").ok());
  const Result<void> missing = check_references(fleet_, fleet_.groups[0], "{proxi.url}");
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.error().message, HasSubstr("did you mean 'proxy'?"));
}

}  // namespace
}  // namespace kvasir
