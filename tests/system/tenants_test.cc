// `kvasir gateway` with keys, as real processes: who may come in, that a tenant over its limit
// makes nobody wait, and that neither keys nor prompts are written anywhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "leased_port.h"
#include "program.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::json;

// What `kvasir keys` printed on standard output and standard error, and its status.
struct KeysOutput {
  std::string out, err;
  int status = 0;
};

std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

class TenantsTest : public ::testing::Test {
 protected:
  TenantsTest() { fs::create_directories(folder_); }
  ~TenantsTest() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  KeysOutput keys(const std::string& arguments) const {
    const std::string command = std::string(std::getenv("KVASIR_BINARY")) + " keys " + arguments +
                                " > " + path("out") + " 2> " + path("err");
    const int status = std::system(command.c_str());
    return {read_file(path("out")), read_file(path("err")), WEXITSTATUS(status)};
  }
  // Adds a tenant to the file of keys; its key.
  std::string add_tenant(const std::string& flags) {
    const KeysOutput made = keys("new " + flags);
    EXPECT_EQ(made.status, 0) << made.err;
    std::ofstream(path("keys.yaml"), std::ios::app) << made.out;
    return first_line(made.err);
  }

  void start_worker() {
    worker_port_ = leased_port();
    worker_ = std::make_unique<Program>(
        std::vector<std::string>{"worker", "sim", "--host", "127.0.0.1", "--port",
                                 std::to_string(worker_port_), "--time-scale", "100"});
    ASSERT_TRUE(worker_->comes_to_say("serving on")) << worker_->output();
  }
  void start_gateway(std::vector<std::string> more = {}) {
    if (worker_ == nullptr) start_worker();
    port_ = leased_port();
    std::vector<std::string> arguments = {"gateway", "--worker-urls",
                                          "http://127.0.0.1:" + std::to_string(worker_port_),
                                          "--port", std::to_string(port_)};
    if (fs::exists(path("keys.yaml"))) {
      arguments.insert(arguments.end(), {"--keys", path("keys.yaml")});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    gateway_ = std::make_unique<Program>(std::move(arguments));
    ASSERT_TRUE(gateway_->comes_to_say("serving on")) << gateway_->output();
    ASSERT_TRUE(becomes([&] { return get("/health").starts_with("HTTP/1.1 200"); }));
  }

  std::string get(const std::string& target, const std::string& fields = "") const {
    return ask(port_,
               "GET " + target + " HTTP/1.1\r\nHost: g\r\nConnection: close\r\n" + fields + "\r\n");
  }
  std::string complete(const std::string& key, const std::string& more = "",
                       const std::string& prompt = "once upon a time") const {
    const std::string body = R"({"model":"sim","max_tokens":8,"ignore_eos":true)" + more +
                             R"(,"prompt":")" + prompt + "\"}";
    return ask(port_,
               "POST /v1/completions HTTP/1.1\r\nHost: g\r\nConnection: close\r\n"
               "Content-Type: application/json\r\nAuthorization: Bearer " +
                   key + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  static bool becomes(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }
  std::vector<Json> access_lines(const std::string& file = "access.log") const {
    std::vector<Json> lines;
    std::istringstream text(read_file(path(file)));
    for (std::string line; std::getline(text, line);) {
      lines.push_back(Json::parse(line, nullptr, false));
      EXPECT_FALSE(lines.back().is_discarded()) << line;
    }
    return lines;
  }

  const std::string folder_ = testing::TempDir() + "tenants_test." + std::to_string(getpid());
  uint16_t worker_port_ = 0, port_ = 0;
  std::unique_ptr<Program> worker_, gateway_;
};

TEST_F(TenantsTest, AKeyOverItsLimitGets429AndNobodyElseWaits) {
  const std::string busy = add_tenant("--tenant busy --requests-per-minute 3");
  const std::string calm = add_tenant("--tenant calm");
  start_gateway();
  for (int i = 0; i < 3; ++i) ASSERT_THAT(complete(busy), StartsWith("HTTP/1.1 200")) << i;
  std::atomic<bool> done{false};
  std::atomic<int> refused{0}, others{0};
  std::vector<std::thread> flood;
  for (int i = 0; i < 3; ++i) {
    flood.emplace_back([&] {
      while (!done) {
        const std::string answer = complete(busy);
        const bool over = answer.starts_with("HTTP/1.1 429") &&
                          answer.find("Retry-After: ") != std::string::npos &&
                          answer.find("x-ratelimit-limit-requests: 3\r\n") != std::string::npos;
        over ? ++refused : ++others;
      }
    });
  }
  std::chrono::duration<double> slowest{};
  for (int i = 0; i < 100; ++i) {
    const auto began = std::chrono::steady_clock::now();
    EXPECT_THAT(complete(calm), StartsWith("HTTP/1.1 200"));
    slowest =
        std::max<std::chrono::duration<double>>(slowest, std::chrono::steady_clock::now() - began);
  }
  done = true;
  for (std::thread& thread : flood) thread.join();
  EXPECT_GT(refused, 100);
  EXPECT_LE(others, 2) << "one more each 20 seconds";
  // It takes some milliseconds; one that waited for the other's limit would take 20 s.
  EXPECT_LT(slowest.count(), 5);
  const std::string page = get("/metrics");
  EXPECT_THAT(
      page, HasSubstr("kvasir_gateway_tenant_requests_total{tenant=\"calm\",code=\"2xx\"} 100\n"));
  EXPECT_THAT(page,
              HasSubstr("kvasir_gateway_tenant_refusals_total{tenant=\"busy\",reason=\"requests-"
                        "per-minute\"} " +
                        std::to_string(refused)));
  EXPECT_THAT(page, HasSubstr("kvasir_gateway_tenant_requests_in_flight{tenant=\"calm\"} 0\n"));
}

// Everything that the programs write, whatever is done with keys and prompts.
TEST_F(TenantsTest, KeysAndPromptsAreWrittenNowhere) {
  const std::string prompt = "a very private question";
  const std::string good = add_tenant("--tenant good --tokens-per-minute 1000000 --concurrency 5");
  const std::string narrow = add_tenant("--tenant narrow --models other");
  const std::string wrong = "sk-kvasir-that-nobody-has";
  const std::string upstream = "token-of-the-workers";
  std::ofstream(path("upstream")) << upstream << "\n";
  start_gateway({"--access-log", path("access.log"), "--log-level", "debug", "--decision-log",
                 "json", "--decision-log-file", path("decisions.log"),
                 "--upstream-authorization-file", path("upstream")});
  std::string answers;
  for (const std::string& key : {good, narrow, wrong}) {
    // The answer to the good one says what the model says, which is no concern of the gateway.
    const std::string answer =
        complete(key, "", prompt) + complete(key, R"(,"stream":true)", prompt);
    if (key != good) answers += answer;
    answers += complete(key, R"(,"max_tokens":"many")", prompt);
    answers += get("/v1/models?key=" + key, "x-api-key: " + key + "\r\n");
    answers += get("/" + std::string(300, 'x'), "x-api-key: " + key + "\r\n");
    answers +=
        ask(port_, "POST /v1/completions HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer " + key +
                       "\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{\"prompt\"");
    answers += ask(port_, "NONSENSE\r\nAuthorization: Bearer " + key + "\r\n\r\n" + prompt);
  }
  std::ofstream(path("keys.yaml"), std::ios::app) << "- name: wrong\n  keys:\n  - " << good << "\n";
  ASSERT_TRUE(gateway_->comes_to_say("the tenants stay as they are")) << gateway_->output();
  EXPECT_THAT(complete(good), StartsWith("HTTP/1.1 200"));
  const KeysOutput checked = keys("check " + path("keys.yaml"));
  EXPECT_EQ(checked.status, 2);
  const std::string page = get("/metrics");
  gateway_->signal(SIGTERM);
  ASSERT_EQ(gateway_->wait(), 0);
  const std::string written[] = {gateway_->output(),
                                 read_file(path("access.log")),
                                 read_file(path("decisions.log")),
                                 page,
                                 answers,
                                 worker_->output(),
                                 checked.out + checked.err};
  for (const std::string& text : written) {
    EXPECT_FALSE(text.empty());
    for (const std::string& secret : {good, narrow, wrong, upstream, prompt}) {
      EXPECT_THAT(text, Not(HasSubstr(secret)));
    }
  }
  EXPECT_THAT(written[1], Not(HasSubstr("?")));
}

TEST_F(TenantsTest, TheAccessLogSaysWhatBecameOfEachRequest) {
  const std::string key = add_tenant("--tenant research --requests-per-minute 2");
  start_gateway({"--access-log", path("access.log")});
  EXPECT_THAT(complete(key), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(complete(key, R"(,"stream":true,"stream_options":{"include_usage":true})"),
              StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(complete(key), StartsWith("HTTP/1.1 429"));
  EXPECT_THAT(complete("nobody's"), StartsWith("HTTP/1.1 401"));
  ASSERT_TRUE(becomes([&] { return access_lines().size() == 4; }));
  const std::vector<Json> lines = access_lines();
  for (const Json& line : {lines[0], lines[1]}) {
    EXPECT_EQ(line["tenant"], "research");
    EXPECT_EQ(line["method"], "POST");
    EXPECT_EQ(line["path"], "/v1/completions");
    EXPECT_EQ(line["model"], "sim");
    EXPECT_EQ(line["status"], 200);
    EXPECT_EQ(line["end"], "complete");
    EXPECT_EQ(line["endpoint"], "127.0.0.1:" + std::to_string(worker_port_));
    EXPECT_EQ(line["completion_tokens"], 8);
    EXPECT_GT(line["prompt_tokens"], 0);
    EXPECT_EQ(line["counted_tokens"].get<int>(), line["prompt_tokens"].get<int>() + 8);
    EXPECT_GT(line["duration_ms"], 0);
    EXPECT_GT(line["first_byte_ms"], 0);
    EXPECT_GT(line["answer_bytes"], 0);
  }
  EXPECT_EQ(lines[2]["status"], 429);
  EXPECT_EQ(lines[2]["refused"], "requests-per-minute");
  EXPECT_EQ(lines[2].count("endpoint"), 0u);
  EXPECT_EQ(lines[3]["status"], 401);
  EXPECT_EQ(lines[3]["refused"], "unknown-key");
  EXPECT_EQ(lines[3].count("tenant"), 0u);
  // As logrotate does it.
  fs::rename(path("access.log"), path("access.log.1"));
  gateway_->signal(SIGUSR1);
  ASSERT_TRUE(becomes([&] { return fs::exists(path("access.log")); }));
  EXPECT_THAT(complete(key), StartsWith("HTTP/1.1 429"));
  ASSERT_TRUE(becomes([&] { return access_lines().size() == 1; }));
  EXPECT_EQ(access_lines("access.log.1").size(), 4u);
}

TEST_F(TenantsTest, AChangeOfTheFileCountsWithoutARestart) {
  const std::string first = add_tenant("--tenant first");
  start_gateway();
  EXPECT_THAT(complete(first), StartsWith("HTTP/1.1 200"));
  const std::string second = add_tenant("--tenant second --expires 2020-01-01");
  ASSERT_TRUE(gateway_->comes_to_say("keys: 2 tenants of "));
  EXPECT_THAT(complete(second), StartsWith("HTTP/1.1 401")) << "it expired long ago";
  EXPECT_THAT(gateway_->output(), HasSubstr("1 of 2 keys in "));
  fs::remove(path("keys.yaml"));
  const std::string third = add_tenant("--tenant third");
  ASSERT_TRUE(gateway_->comes_to_say("keys: 1 tenant of "));
  EXPECT_THAT(complete(first), StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(complete(third), StartsWith("HTTP/1.1 200"));
  std::ofstream(path("keys.yaml")) << "- name: third\n  tokens-per-minut: 5\n";
  ASSERT_TRUE(gateway_->comes_to_say("keys.yaml:2: tenant third: unknown key 'tokens-per-minut'"));
  EXPECT_THAT(complete(third), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(get("/metrics"),
              HasSubstr("kvasir_gateway_keys_reads_total{result=\"refused\"} 1\n"));
}

TEST_F(TenantsTest, WhoCanBeReachedByOthersAsksForKeysOrIsToldNotTo) {
  start_worker();
  const std::string worker = "http://127.0.0.1:" + std::to_string(worker_port_);
  Program refused({"gateway", "--worker-urls", worker, "--host", "0.0.0.0", "--port", "0"});
  EXPECT_EQ(refused.wait(), 2);
  EXPECT_THAT(
      refused.output(),
      HasSubstr("kvasir gateway: --host 0.0.0.0: others can reach that address, and nobody is "
                "asked for a key. Give --keys FILE (kvasir keys new makes one), or --anonymous"));
  Program told(
      {"gateway", "--worker-urls", worker, "--host", "0.0.0.0", "--port", "0", "--anonymous"});
  EXPECT_TRUE(told.comes_to_say("serving on"));
  EXPECT_TRUE(told.comes_to_say("without authentication, open to everybody"));
  const std::string key = add_tenant("--tenant a");
  Program with_keys({"gateway", "--worker-urls", worker, "--host", "0.0.0.0", "--port", "0",
                     "--keys", path("keys.yaml")});
  EXPECT_TRUE(with_keys.comes_to_say("serving on"));
  std::ofstream(path("keys.yaml"), std::ios::app) << "- " << key << "\n";
  Program wrong({"gateway", "--worker-urls", worker, "--port", "0", "--keys", path("keys.yaml")});
  EXPECT_EQ(wrong.wait(), 2);
  EXPECT_THAT(wrong.output(), HasSubstr("keys.yaml:4: a tenant must be a map, not a text"));
  EXPECT_THAT(wrong.output(), Not(HasSubstr(key)));
}

}  // namespace
}  // namespace kvasir
