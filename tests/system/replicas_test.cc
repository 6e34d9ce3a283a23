// Two real pickers beside each other, asked over ext_proc as Envoy asks them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "leased_port.h"
#include "program.h"
#include "running_picker.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using ::testing::Each;

constexpr int kWorkers = 8;
constexpr int kStreams = 80;    // through the first picker, to half of the workers
constexpr int kRequests = 160;  // through the second, to all
constexpr int kSessions = 40;
constexpr double kTolerance = 0.05;
constexpr const char* kConfig = R"(
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: session-affinity-filter
  parameters: {strategy: session_id}
- type: inflight-load-producer
- type: active-request-scorer
- type: max-score-picker
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: session-affinity-filter
  - pluginRef: active-request-scorer
  - pluginRef: max-score-picker
)";

class ReplicasSystemTest : public ::testing::Test {
 protected:
  ReplicasSystemTest() {
    std::string name = (fs::temp_directory_path() / "replicas-test-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~ReplicasSystemTest() override {
    pickers_.clear();
    fs::remove_all(directory_);
  }

  std::string secret_file(const std::string& secret) const {
    const fs::path path = directory_ / ("secret of " + secret.substr(0, 5));
    std::ofstream(path) << secret << "\n";
    return path.string();
  }

  // The i-th picker gets the i-th of `secrets`, which begin again at their end.
  void start(int count, bool sharing,
             const std::vector<std::string>& secrets = {"first secret of these tests"}) {
    pickers_.clear();
    std::vector<uint16_t> ports;
    std::string peers;
    for (int i = 0; i < count; ++i) {
      ports.push_back(leased_port());
      peers += (i > 0 ? "," : "") + std::string("127.0.0.1:") + std::to_string(ports[i]);
    }
    for (int i = 0; i < count; ++i) {
      std::vector<std::string> arguments = {"--endpoints", workers_.list(), "--config-text", kConfig,
                                            "--allow-experimental-plugins"};
      if (sharing) {
        const std::string secret = secret_file(secrets[static_cast<size_t>(i) % secrets.size()]);
        arguments.insert(arguments.end(), {"--peers", peers, "--peers-secret-file", secret});
      }
      pickers_.push_back(std::make_unique<RunningPicker>(
          *loop_, ports[static_cast<size_t>(i)], std::move(arguments),
          directory_ / ("picker-" + std::to_string(++started_))));
    }
    for (const auto& picker : pickers_) {
      ASSERT_TRUE(wait_until([&] { return picker->says(" is healthy") == kWorkers; }))
          << picker->log();
      if (sharing && secrets.size() == 1) {
        ASSERT_TRUE(wait_until([&] { return picker->says("sharing load and sessions") > 0; }))
            << pickers_.front()->log() << pickers_.back()->log();
      }
    }
  }
  bool wait_until(const std::function<bool()>& holds) { return kvasir::wait_until(*loop_, holds); }
  void run_for(Duration time) { kvasir::run_for(*loop_, time); }

  // In flight on each worker, when the last picker is asked one second after the first.
  std::vector<double> in_flight() {
    std::vector<double> counts(kWorkers);
    const auto count = [&](const std::string& name) {
      const auto at = std::find(workers_.names.begin(), workers_.names.end(), name);
      ASSERT_NE(at, workers_.names.end()) << name;
      ++counts[static_cast<size_t>(at - workers_.names.begin())];
    };
    const std::vector<std::string> half(workers_.hosts.begin(),
                                        workers_.hosts.begin() + kWorkers / 2);
    for (int i = 0; i < kStreams; ++i) count(pickers_.front()->pick(half));
    run_for(std::chrono::seconds(1));
    for (int i = 0; i < kRequests; ++i) count(pickers_.back()->pick());
    return counts;
  }
  double off_by(const std::vector<double>& counts, const std::vector<double>& reference) {
    double worst = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
      worst = std::max(worst, std::abs(counts[i] - reference[i]) / reference[i]);
    }
    return worst;
  }
  // Of kSessions, bound by the first picker, those that the last one sends to the same worker.
  int sessions_honoured() {
    std::vector<std::string> bound;
    const auto name = [](int i) { return "session-" + std::to_string(i); };
    for (int i = 0; i < kSessions; ++i) bound.push_back(pickers_.front()->pick({}, name(i)));
    run_for(std::chrono::seconds(1));
    int honoured = 0;
    // In another order: else both would give the same turns to the same sessions.
    for (int i = kSessions - 1; i >= 0; --i) {
      honoured += pickers_.back()->pick({}, name(i)) == bound[static_cast<size_t>(i)];
    }
    return honoured;
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  HealthyWorkers workers_{*loop_, kWorkers};
  fs::path directory_;
  int started_ = 0;
  std::vector<std::unique_ptr<RunningPicker>> pickers_;
};

TEST_F(ReplicasSystemTest, LoadBookedThroughOneCountsForTheOtherASecondLater) {
  ASSERT_NO_FATAL_FAILURE(start(1, false));
  const std::vector<double> reference = in_flight();
  ASSERT_NO_FATAL_FAILURE(start(2, true));
  const std::vector<double> shared = in_flight();
  EXPECT_LE(off_by(shared, reference), kTolerance) << ::testing::PrintToString(shared);
  ASSERT_NO_FATAL_FAILURE(start(2, false));
  const std::vector<double> alone = in_flight();
  EXPECT_GT(off_by(alone, reference), kTolerance) << "the measure shows nothing";
}

TEST_F(ReplicasSystemTest, ASessionBoundByOneIsHonouredByTheOther) {
  ASSERT_NO_FATAL_FAILURE(start(2, true));
  EXPECT_EQ(sessions_honoured(), kSessions);
  ASSERT_NO_FATAL_FAILURE(start(2, false));
  EXPECT_LT(sessions_honoured(), kSessions) << "the measure shows nothing";
}

TEST_F(ReplicasSystemTest, PickersWithDifferentSecretsShareNothingAndSaySoOnce) {
  ASSERT_NO_FATAL_FAILURE(
      start(2, true, {"first secret of these tests", "other secret of these tests"}));
  for (const auto& picker : pickers_) {
    ASSERT_TRUE(wait_until([&] { return picker->says("it has another secret") > 0; }));
  }
  EXPECT_LT(sessions_honoured(), kSessions);
  for (const auto& picker : pickers_) {
    EXPECT_EQ(picker->says("sharing load and sessions"), 0u);
    EXPECT_EQ(picker->says("secret of these tests"), 0u);
    EXPECT_LE(picker->says("it has another secret"), 2u) << "as speaker and as listener";
  }
}

// As the ext_proc port is unless it is told otherwise.
TEST_F(ReplicasSystemTest, PickersThatServeTlsShareToo) {
  const std::string ports[] = {std::to_string(leased_port()), std::to_string(leased_port())};
  std::vector<std::unique_ptr<Program>> pickers;
  for (const std::string& port : ports) {
    pickers.push_back(std::make_unique<Program>(std::vector<std::string>{
        "epp", "--host", "127.0.0.1", "--grpc-port", port, "--grpc-health-port", "0",
        "--metrics-port", "0", "--endpoints", workers_.list(), "--config-text", kConfig,
        "--allow-experimental-plugins", "--peers",
        "127.0.0.1:" + ports[0] + ",127.0.0.1:" + ports[1], "--peers-secret-file",
        secret_file("first secret of these tests")}));
  }
  for (const auto& picker : pickers) {
    EXPECT_TRUE(picker->comes_to_say("sharing load and sessions")) << picker->output();
  }
}

TEST_F(ReplicasSystemTest, AKilledReplicasLoadIsForgotten) {
  ASSERT_NO_FATAL_FAILURE(start(2, true));
  const std::vector<std::string> one = {workers_.hosts[0]};
  for (int i = 0; i < 20; ++i) pickers_[0]->pick(one);
  run_for(std::chrono::seconds(1));
  for (int i = 0; i < kWorkers - 1; ++i) EXPECT_NE(pickers_[1]->pick(), workers_.names[0]);
  pickers_[0]->kill();
  ASSERT_TRUE(wait_until([&] { return pickers_[1]->says("fell silent") == 1; }))
      << pickers_[1]->log();
  EXPECT_EQ(pickers_[1]->pick(), workers_.names[0]);
}

}  // namespace
}  // namespace kvasir
