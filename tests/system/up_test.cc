// `kvasir up` with real workers and a real gateway, as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "running_up.h"
#include "supervise/port_lease.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

// Two workers, so that every request but one tells of the other; fast, so that nobody waits.
const std::vector<std::string> kTwoWorkers = {"--port",       "0",  "--workers", "2",
                                              "--time-scale", "20", "--policy",  "round-robin"};
constexpr char kCompletion[] = R"({"model": "MODEL", "prompt": "Hello", "max_tokens": 4})";

std::string completion(RunningUp& up) {
  const std::string models = up.get("/v1/models").value().body;
  const size_t begin = models.find(R"("id":)");
  const size_t quote = models.find('"', begin + 5);
  std::string body = kCompletion;
  return body.replace(body.find("MODEL"), 5,
                      models.substr(quote + 1, models.find('"', quote + 1) - quote - 1));
}

bool none_runs(const std::vector<int64_t>& pids) {
  return std::none_of(pids.begin(), pids.end(), process_runs);
}

TEST(Up, AnswersItsFirstRequestAndStopsOnSigint) {
  RunningUp up(kTwoWorkers);
  ASSERT_TRUE(up.wait_until_ready()) << up.output();
  EXPECT_THAT(up.output(), HasSubstr("First request: "));
  EXPECT_THAT(up.output(), HasSubstr("curl -N http://127.0.0.1:"));
  const std::vector<int64_t> children = up.children();
  EXPECT_THAT(children, SizeIs(3));
  const Result<HttpAnswer> answer = up.post("/v1/completions", completion(up));
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->head.status(), 200) << answer->body;

  up.signal(SIGINT);
  ASSERT_TRUE(up.wait_for_exit());
  EXPECT_EQ(up.exit_words(), "exited with status 0");
  EXPECT_TRUE(none_runs(children));
}

TEST(Up, AKilledWorkerComesBackIntoRotation) {
  RunningUp up(kTwoWorkers);
  ASSERT_TRUE(up.wait_until_ready()) << up.output();
  const int64_t worker = up.children().front();
  ::kill(static_cast<pid_t>(worker), SIGKILL);
  ASSERT_TRUE(up.wait_until_output_has("was started again")) << up.output();
  const std::string body = completion(up);
  std::set<std::string> endpoints;
  EXPECT_TRUE(up.wait_until([&] {
    const Result<HttpAnswer> answer = up.post("/v1/completions", body);
    if (!answer || answer->head.status() != 200) return false;
    endpoints.emplace(answer->head.find("x-selected-pod").value_or(""));
    return endpoints.size() == 2;
  }));
  EXPECT_THAT(up.children(), SizeIs(3));
}

TEST(Up, KillingItLeavesNothing) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  RunningUp up(kTwoWorkers);
  ASSERT_TRUE(up.wait_until_ready()) << up.output();
  const std::vector<int64_t> children = up.children();
  ASSERT_THAT(children, SizeIs(3));
  up.signal(SIGKILL);
  ASSERT_TRUE(up.wait_for_exit());
  EXPECT_TRUE(up.wait_until([&] { return none_runs(children); }));
  for (const int64_t pid : children) waitpid(static_cast<pid_t>(pid), nullptr, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST(Up, APortInUseIsOneClearLine) {
  RunningUp first(kTwoWorkers);
  ASSERT_TRUE(first.wait_until_ready()) << first.output();
  const std::string port = std::to_string(first.endpoint().port);
  RunningUp second({"--port", port});
  ASSERT_TRUE(second.wait_for_exit());
  EXPECT_EQ(second.exit_words(), "exited with status 1");
  EXPECT_EQ(second.output(),
            "kvasir up: port " + port +
                " is already in use on 127.0.0.1: stop the program that holds it, or choose "
                "another with --port\n");
}

TEST(Up, OneWorkerOfTwoIsEnough) {
  RunningUp workers(kTwoWorkers);
  ASSERT_TRUE(workers.wait_until_ready()) << workers.output();
  // Its gateway passes for the worker that is there, a port that only is taken for the other one.
  const PortLease dead = std::move(PortLease::take("127.0.0.1", 0).value());
  const std::string dead_url = "http://127.0.0.1:" + std::to_string(dead.port());
  RunningUp up(
      {"--port", "0", "--worker-urls", dead_url + ",http://" + to_string(workers.endpoint())});
  ASSERT_TRUE(up.wait_until_ready()) << up.output();
  EXPECT_THAT(up.output(), HasSubstr("going on without " + dead_url +
                                     " (cannot connect: Connection refused); "));
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(up.post("/v1/completions", completion(up))->head.status(), 200);
}

// With zeros between the words.
std::string command_line_of(int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Up, KvEventsOfWorkersThatRunAlreadyAreHeardWhenThatIsSaid) {
  RunningUp workers(kTwoWorkers);
  ASSERT_TRUE(workers.wait_until_ready()) << workers.output();
  const std::string urls = "http://" + to_string(workers.endpoint());
  const std::string wanted = std::string("--kv-events") + '\0' + "auto";
  for (const bool said : {true, false}) {
    std::vector<std::string> arguments = {"--port", "0", "--worker-urls", urls};
    if (said) arguments.push_back("--kv-events");
    RunningUp up(std::move(arguments));
    ASSERT_TRUE(up.wait_until_ready()) << up.output();
    ASSERT_THAT(up.children(), SizeIs(1));
    const std::string gateway = command_line_of(up.children()[0]);
    EXPECT_EQ(gateway.find(wanted) != std::string::npos, said) << gateway;
    EXPECT_EQ(gateway.find("--kv-events") != std::string::npos, said) << gateway;
  }
}

namespace fs = std::filesystem;

// What a user may name with --log-dir, in a directory that goes with the test.
class UpLogDirectory : public ::testing::Test {
 protected:
  UpLogDirectory() {
    std::string name = (fs::temp_directory_path() / "up-logs-XXXXXX").string();
    home_ = mkdtemp(name.data());
  }
  ~UpLogDirectory() override { fs::remove_all(home_); }

  // Starts it on a port in use, which fails in any case.
  void fail_with(const fs::path& directory, const std::string& status, const std::string& reason) {
    RunningUp up({"--port", std::to_string(local_port(other_)), "--log-dir", directory.string()});
    ASSERT_TRUE(up.wait_for_exit());
    EXPECT_EQ(up.exit_words(), "exited with status " + status);
    EXPECT_THAT(up.output(), HasSubstr(reason));
  }

  fs::path home_;
  const Descriptor other_ = std::move(listen_tcp("127.0.0.1", 0, false).value());
};

TEST_F(UpLogDirectory, OfTheUserStaysWhenTheStartFails) {
  fs::create_directory(home_ / "empty");
  fs::create_directory_symlink(home_ / "empty", home_ / "link");
  fail_with(home_ / "empty", "1", "already in use");
  fail_with(home_ / "link", "1", "already in use");
  EXPECT_TRUE(fs::is_directory(home_ / "empty"));
  EXPECT_TRUE(fs::is_symlink(home_ / "link"));
  fail_with(home_ / "new", "1", "already in use");
  EXPECT_FALSE(fs::exists(home_ / "new"));
}

TEST_F(UpLogDirectory, ThatIsNoneIsRefusedAndLeftAlone) {
  std::ofstream(home_ / "file") << "precious";
  ASSERT_EQ(mkfifo((home_ / "fifo").c_str(), 0600), 0);
  fs::create_symlink(home_ / "file", home_ / "link");
  fs::create_symlink(home_ / "nothing", home_ / "dangling");
  for (const char* name : {"file", "fifo", "link"}) {
    fail_with(home_ / name, "2", std::string(name) + " is not a directory");
  }
  fail_with(home_ / "dangling", "2", "dangling is a symbolic link to nothing");
  fail_with(home_ / "file" / "logs", "2", "Not a directory");
  EXPECT_EQ(fs::file_size(home_ / "file"), 8u);
  EXPECT_TRUE(fs::is_fifo(home_ / "fifo"));
  EXPECT_TRUE(fs::is_symlink(home_ / "link"));
  EXPECT_TRUE(fs::is_symlink(home_ / "dangling"));
}

TEST(Up, AMissingProfileIsOneClearLine) {
  RunningUp up({"--port", "0", "--engine-profile", "/no/such/profile.json"});
  ASSERT_TRUE(up.wait_for_exit());
  EXPECT_EQ(up.exit_words(), "exited with status 2");
  const std::string output = up.output();
  EXPECT_THAT(output, HasSubstr("/no/such/profile.json"));
  EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 1) << output;
}

}  // namespace
}  // namespace kvasir
