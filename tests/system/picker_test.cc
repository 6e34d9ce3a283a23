// What one picker follows while it runs: its configuration, its endpoints, and how they answer. And the conformance
// suite against it, binary against binary.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "leased_port.h"
#include "running_picker.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string config_for(const std::string& zone) {
  return R"(apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: label-selector-filter
  parameters: {matchLabels: {zone: )" +
         zone + R"(}}
- type: active-request-scorer
)";
}

class PickerSystemTest : public ::testing::Test {
 protected:
  PickerSystemTest() {
    std::string name = (fs::temp_directory_path() / "picker-test-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~PickerSystemTest() override {
    picker_.reset();
    fs::remove_all(directory_);
  }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / (name + ".new")) << text;
    fs::rename(directory_ / (name + ".new"), directory_ / name);
  }
  std::string path(const std::string& name) const { return (directory_ / name).string(); }

  void start(std::vector<std::string> arguments, size_t healthy) {
    picker_.reset();
    port_ = leased_port();
    fs::remove(directory_ / "log");  // of the one before
    picker_ = std::make_unique<RunningPicker>(*loop_, port_, std::move(arguments),
                                              directory_ / "log");
    ASSERT_TRUE(wait_until(*loop_, [&] { return picker_->says(" is healthy") >= healthy; }))
        << read_file(directory_ / "log");
  }
  bool comes_to_pick(const std::string& endpoint) {
    return wait_until(*loop_, [&] { return picker_->pick() == endpoint; });
  }
  std::string conformance_report(uint16_t empty_port);
  std::string endpoints_file(size_t worker) const {
    const std::string& name = workers_.names[worker];
    return "endpoints:\n- {name: w, address: " + workers_.hosts[worker] +
           ", port: " + name.substr(name.rfind(':') + 1) + "}\n";
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  HealthyWorkers workers_{*loop_, 3};
  fs::path directory_;
  uint16_t port_ = 0;
  std::unique_ptr<RunningPicker> picker_;
};

TEST_F(PickerSystemTest, AChangedConfigurationRoutesAndABrokenOneIsToldAndLeftAlone) {
  write("config.yaml", config_for("north"));
  start({"--config-file", path("config.yaml"), "--endpoints",
         workers_.names[0] + ";zone=north," + workers_.names[1] + ";zone=south"},
        2);
  EXPECT_EQ(picker_->pick(), workers_.names[0]);
  write("config.yaml", config_for("south"));
  EXPECT_TRUE(comes_to_pick(workers_.names[1]));
  write("config.yaml", "plugins: [{type: no-such-scorer}]\n");
  EXPECT_TRUE(wait_until(*loop_, [&] { return picker_->says("no-such-scorer") > 0; }));
  EXPECT_EQ(picker_->pick(), workers_.names[1]);
}

// The end of a request that the picker before had booked ended the program.
TEST_F(PickerSystemTest, AReloadWithRequestsInFlightLeavesThePredictedCostPickerAlive) {
  const std::string config = "plugins:\n- type: predicted-cost-picker\n";
  write("config.yaml", config);
  start({"--config-file", path("config.yaml"), "--allow-experimental-plugins", "--endpoints",
         workers_.list()},
        3);
  for (int i = 0; i < 5; ++i) picker_->pick();
  write("config.yaml", config + "- type: prefix-cache-scorer\n");
  ASSERT_TRUE(wait_until(*loop_, [&] { return picker_->says("configuration is in use") > 0; }))
      << read_file(directory_ / "log");
  picker_->pick();
  picker_->end_all();
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(picker_->pick(), HasSubstr("127.0.3.")) << read_file(directory_ / "log");
  }
}

TEST_F(PickerSystemTest, EndpointsFollowTheirFileAndABrokenFileChangesNothing) {
  write("endpoints.yaml", endpoints_file(0));
  start({"--endpoints-file", path("endpoints.yaml")}, 1);
  EXPECT_EQ(picker_->pick(), workers_.names[0]);
  write("endpoints.yaml", endpoints_file(1));
  EXPECT_TRUE(comes_to_pick(workers_.names[1]));
  write("endpoints.yaml", "endpoints: 7\n");
  EXPECT_TRUE(wait_until(*loop_, [&] { return picker_->says("endpoints.yaml:1") > 0; }))
      << read_file(directory_ / "log");
  EXPECT_EQ(picker_->pick(), workers_.names[1]);
}

TEST_F(PickerSystemTest, EndpointsComeFromTheAddressesOfAName) {
  HttpServer local(*loop_, listen_tcp("127.0.0.1", 0, false).value(), workers_);
  start({"--dns", "localhost:" + std::to_string(local.port())}, 1);
  EXPECT_EQ(picker_->pick(), "127.0.0.1:" + std::to_string(local.port()));
}

TEST_F(PickerSystemTest, AnEndpointWithANameJoinsBesideOneWithoutAnAddress) {
  HttpServer local(*loop_, listen_tcp("127.0.0.1", 0, false).value(), workers_);
  const std::string name = "localhost:" + std::to_string(local.port());
  start({"--endpoints", "no.such.host.invalid:1," + name}, 1);
  EXPECT_EQ(picker_->pick(), name);
}

TEST_F(PickerSystemTest, AnEndpointThatAnswersWithErrorsIsLeftOut) {
  start({"--endpoints", workers_.names[0] + "," + workers_.names[1], "--eject-outliers"}, 2);
  const std::vector<std::string> bad = {workers_.hosts[0]};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(picker_->pick(bad, "", 500), workers_.names[0]);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(picker_->pick({}, "", 200), workers_.names[1]);
}

TEST_F(PickerSystemTest, WithoutTheFlagErrorsChangeNothing) {
  start({"--endpoints", workers_.names[0] + "," + workers_.names[1]}, 2);
  const std::vector<std::string> bad = {workers_.hosts[0]};
  for (int i = 0; i < 5; ++i) picker_->pick(bad, "", 500);
  EXPECT_TRUE(comes_to_pick(workers_.names[0]));
}

// Also of one that leaves answers alone, and with one beside it that has nobody to pick.
TEST_F(PickerSystemTest, TheConformanceSuitePasses) {
  write("nobody.yaml", "endpoints: []\n");
  const uint16_t empty_port = leased_port();
  RunningPicker empty(*loop_, empty_port, {"--endpoints-file", path("nobody.yaml")},
                      directory_ / "empty-log");
  ASSERT_TRUE(wait_until(*loop_, [&] { return empty.says("picking on") > 0; }));
  for (const bool skips_answers : {false, true}) {
    std::vector<std::string> arguments = {"--endpoints", workers_.list()};
    if (skips_answers) {
      const std::string config = "plugins: [{type: random-picker}]\n";
      arguments.insert(arguments.end(), {"--skip-answers", "--config-text", config});
    }
    start(arguments, 3);
    const std::string report = conformance_report(empty_port);
    EXPECT_THAT(report, HasSubstr(skips_answers ? "MUST: 26 passed, 0 failed, 8 skipped"
                                                : "MUST: 34 passed, 0 failed, 0 skipped"));
    EXPECT_THAT(report, HasSubstr("SHOULD: 5 passed, 0 failed, 0 skipped"));
  }
}

std::string PickerSystemTest::conformance_report(uint16_t empty_port) {
  Process::Command command;
  command.binary = std::getenv("KVASIR_BINARY");
  command.arguments = {"conformance", "epp", "--target", "127.0.0.1:" + std::to_string(port_),
                       "--empty-target", "127.0.0.1:" + std::to_string(empty_port),
                       "--endpoints", workers_.list()};
  command.log_file = directory_ / "report";
  bool over = false;
  const auto suite =
      std::move(Process::start(*loop_, command, [&](const std::string&) { over = true; }).value());
  EXPECT_TRUE(wait_until(*loop_, [&] { return over; }));
  return read_file(directory_ / "report");
}

}  // namespace
}  // namespace kvasir
