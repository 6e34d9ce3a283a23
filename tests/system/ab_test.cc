// `kvasir bench ab` with everything it starts: workers, gateways, and the client.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <thread>

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AnyOf;
using ::testing::HasSubstr;

std::string read_file(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// A running kvasir whose output goes to a file. Killed at the end, if it still runs.
class Program {
 public:
  Program(std::vector<std::string> arguments, const fs::path& output) : output_(output) {
    arguments.insert(arguments.begin(), std::getenv("KVASIR_BINARY"));
    std::vector<char*> words;
    for (std::string& argument : arguments) words.push_back(argument.data());
    words.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    if (std::freopen(output.c_str(), "w", stdout) == nullptr) _exit(126);
    dup2(STDOUT_FILENO, STDERR_FILENO);
    execv(words.front(), words.data());
    _exit(127);
  }
  ~Program() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    wait();
  }

  int wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  // A child process that is a worker, once one of them runs.
  std::optional<pid_t> a_worker() const {
    const std::string id = std::to_string(pid_);
    std::istringstream children(read_file("/proc/" + id + "/task/" + id + "/children"));
    for (pid_t child; children >> child;) {
      const std::string words = read_file("/proc/" + std::to_string(child) + "/cmdline");
      if (words.find(std::string("\0worker\0", 8)) != std::string::npos) return child;
    }
    return std::nullopt;
  }

  std::string output() const { return read_file(output_); }

 private:
  fs::path output_;
  pid_t pid_ = 0;
};

class AbTest : public ::testing::Test {
 protected:
  AbTest() {
    std::string name = (fs::temp_directory_path() / "kvasir-ab-test-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~AbTest() override { fs::remove_all(folder_); }

  // Runs `kvasir bench WORDS...`; what it printed is in `output`.
  int bench(std::vector<std::string> words, std::string& output) {
    words.insert(words.begin(), "bench");
    Program program(words, folder_ / "output.txt");
    const int code = program.wait();
    output = program.output();
    return code;
  }

  std::string small_trace() {
    const std::string path = folder_ / "trace.jsonl";
    std::string output;
    EXPECT_EQ(
        bench({"trace", "--seed", "3", "--requests", "40", "--duration", "20", "--output", path},
              output),
        0)
        << output;
    return path;
  }

  fs::path folder_;
};

size_t spread(const json& counts) {
  size_t least = SIZE_MAX;
  size_t most = 0;
  for (const auto& [endpoint, count] : counts.items()) {
    least = std::min(least, count.get<size_t>());
    most = std::max(most, count.get<size_t>());
  }
  return most - least;
}

TEST_F(AbTest, FourPoliciesAnswerEveryRowWithTheSameTokens) {
  std::string output;
  const fs::path report_file = folder_ / "report.json";
  const int code = bench({"ab", "--trace", small_trace(), "--workers", "3", "--time-scale", "10",
                          "--allow-lag", "--json", report_file, "--output", folder_ / "rows"},
                         output);
  ASSERT_EQ(code, 0) << output;
  EXPECT_THAT(output, HasSubstr("same tokens in all arms: yes"));

  const json report = json::parse(read_file(report_file));
  EXPECT_EQ(report["same_tokens"], true);
  EXPECT_EQ(report["requests"], 40);
  ASSERT_EQ(report["arms"].size(), 4u);
  const std::vector<std::string> names = {"round-robin", "least-load", "load-cost", "kv"};
  for (size_t i = 0; i < names.size(); ++i) {
    const json& arm = report["arms"][i];
    EXPECT_EQ(arm["name"], names[i]);
    EXPECT_EQ(arm["requests"], 40) << names[i];
    EXPECT_EQ(arm["errors"], 0) << names[i];
    EXPECT_EQ(arm["prompt_tokens"], report["prompt_tokens"]) << names[i];
    EXPECT_EQ(arm["output_tokens"], report["output_tokens"]) << names[i];
    EXPECT_GT(arm["ttft_ms"]["mean"], 0) << names[i];
    EXPECT_LE(arm["hit_ratio"], report["ceiling"]) << names[i];
    std::ifstream rows(folder_ / "rows" / (names[i] + ".jsonl"));
    size_t lines = 0;
    for (std::string line; std::getline(rows, line);) ++lines;
    EXPECT_EQ(lines, 40u) << names[i];
  }
  const json& shares = report["arms"][0]["requests_by_endpoint"];
  EXPECT_EQ(shares.size(), 3u);
  EXPECT_LE(spread(shares), 1u) << shares;
  EXPECT_GT(report["arms"][3]["hit_ratio"], report["arms"][0]["hit_ratio"]);
}

// Each counts its turns by itself: 20 requests for 3 workers are 7, 7 and 6.
TEST_F(AbTest, TwoGatewaysEachDecideForHalfOfTheRequests) {
  std::string output;
  const fs::path report_file = folder_ / "report.json";
  const int code = bench(
      {"ab", "--trace", small_trace(), "--workers", "3", "--gateways", "2", "--arms", "round-robin",
       "--time-scale", "10", "--allow-lag", "--json", report_file, "--output", folder_ / "rows"},
      output);
  ASSERT_EQ(code, 0) << output;
  const json arm = json::parse(read_file(report_file))["arms"][0];
  EXPECT_EQ(arm["errors"], 0);
  EXPECT_EQ(arm["requests"], 40);
  EXPECT_EQ(spread(arm["requests_by_endpoint"]), 2u) << arm["requests_by_endpoint"];
  for (const char* log : {"gateway-0.log", "gateway-1.log"}) {
    EXPECT_TRUE(fs::exists(folder_ / "rows" / "round-robin-logs" / log)) << log;
  }
}

TEST_F(AbTest, AWorkerThatDiesCallsTheComparisonOff) {
  Program program({"bench", "ab", "--trace", small_trace(), "--workers", "2", "--arms", "kv",
                   "--output", folder_ / "rows"},
                  folder_ / "output.txt");
  // The file appears when the replay begins.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!fs::exists(folder_ / "rows" / "kv.jsonl") &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  const std::optional<pid_t> worker = program.a_worker();
  ASSERT_TRUE(worker) << program.output();
  kill(*worker, SIGKILL);
  EXPECT_EQ(program.wait(), 1);
  EXPECT_THAT(program.output(), HasSubstr("kvasir bench: kv: worker-"));
  EXPECT_THAT(program.output(), AnyOf(HasSubstr("died"), HasSubstr("was restarted")));
}

TEST_F(AbTest, WrongFlagsAreNamed) {
  const struct {
    std::vector<std::string> words;
    const char* named;
  } cases[] = {
      {{"ab", "--arms", "kv,banana"}, "--arms"},
      {{"ab", "--trace", "/nonexistent"}, "/nonexistent"},
      {{"ab", "--engine-profile", "banana"}, "--engine-profile"},
      {{"ab", "--time-scale", "0"}, "--time-scale"},
      {{"ab", "--workers", "0"}, "--workers"},
      {{"ab", "--gateways", "0"}, "--gateways"},
      {{"ab", "--start", "1000000"}, "--start"},
      {{"replay", "--url", "nonsense"}, "--url"},
      {{"replay", "--bins", "sideways"}, "--bins"},
      {{"trace", "--requests", "0"}, "--requests"},
  };
  for (const auto& one : cases) {
    std::string output;
    EXPECT_EQ(bench(one.words, output), 2) << one.named;
    EXPECT_THAT(output, HasSubstr(one.named));
  }
}

}  // namespace
