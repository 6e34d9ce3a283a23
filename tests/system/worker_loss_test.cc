// A worker is killed while a workload runs: no request that had not begun to stream is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "running_up.h"
#include "wire/prometheus_text.h"

namespace kvasir {
namespace {

constexpr char kTimeScale[] = "10";
constexpr double kRequestsBeforeTheKill = 40;

double metric(RunningUp& up, const std::string& name) {
  const Result<HttpAnswer> page = up.get("/metrics");
  return page ? sum_metric(page->body, name).value_or(0) : 0;
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// The built-in workload of 200 rows, in a process of its own; the tests' loop goes on meanwhile.
class RunningReplay {
 public:
  RunningReplay(RunningUp& up, const std::string& output) : up_(up) {
    Process::Command command;
    command.binary = std::getenv("KVASIR_BINARY");
    command.arguments = {"bench",        "replay",   "--url",    "http://" + to_string(up.endpoint()),
                         "--time-scale", kTimeScale, "--output", output,
                         "--allow-lag"};
    command.log_file = output + ".log";
    process_ = std::move(Process::start(up.loop(), command, [this](const std::string&) {
                           over_ = true;
                         }).value());
  }
  bool wait() { return up_.wait_until([this] { return over_; }); }

 private:
  RunningUp& up_;
  std::unique_ptr<Process> process_;
  bool over_ = false;
};

TEST(WorkerLoss, LosesNoRequestThatHadNotBegunToStream) {
  RunningUp up({"--port", "0", "--workers", "4", "--time-scale", kTimeScale, "--policy", "least-load"});
  ASSERT_TRUE(up.wait_until_ready()) << up.output();
  std::string folder = (std::filesystem::temp_directory_path() / "worker-loss-XXXXXX").string();
  const std::string output = std::string(mkdtemp(folder.data())) + "/rows.jsonl";
  RunningReplay replay(up, output);
  ASSERT_TRUE(up.wait_until([&] {
    return metric(up, "kvasir_gateway_upstream_requests_total") > kRequestsBeforeTheKill;
  }));
  ::kill(static_cast<pid_t>(up.children().front()), SIGKILL);
  ASSERT_TRUE(replay.wait());

  const std::vector<std::string> rows = lines_of(output);
  EXPECT_EQ(rows.size(), 200u);
  size_t cut = 0;
  for (const std::string& row : rows) {
    if (row.find("\"error\"") == std::string::npos) continue;
    ++cut;
    EXPECT_THAT(row, ::testing::HasSubstr("\"ttft_ms\"")) << "lost before it began to stream";
  }
  // The kill hit something: a stream that was cut, or a request that went elsewhere.
  EXPECT_GT(cut + metric(up, "kvasir_gateway_upstream_retries_total"), 0);
  EXPECT_TRUE(up.wait_until([&] { return metric(up, "kvasir_gateway_upstream_healthy") == 4; }));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace kvasir
