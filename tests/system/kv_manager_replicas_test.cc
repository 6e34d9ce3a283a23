// Managers behind one name, to which engines connect (docs/KV.md, "Two managers"): real workers,
// real managers on addresses of their own, and a name whose addresses change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "leased_port.h"
#include "net/http/http_status.h"
#include "program.h"

namespace kvasir {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* kName = "kv-managers.test";
constexpr int kTriesMost = 300;
constexpr Duration kPause = std::chrono::milliseconds(100);

// What the programs that are started while it lives find in their environment.
class Variables {
 public:
  explicit Variables(std::map<std::string, std::string> values) : values_(std::move(values)) {
    for (const auto& [name, value] : values_) setenv(name.c_str(), value.c_str(), 1);
  }
  ~Variables() {
    for (const auto& [name, value] : values_) unsetenv(name.c_str());
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;

 private:
  const std::map<std::string, std::string> values_;
};

std::string output_of(const std::string& command) {
  FILE* const pipe = popen(command.c_str(), "r");
  std::string output;
  char bytes[4096];
  for (size_t size = 0; (size = fread(bytes, 1, sizeof bytes, pipe)) > 0;) {
    output.append(bytes, size);
  }
  pclose(pipe);
  return output;
}

class KvManagerReplicas : public ::testing::Test {
 protected:
  KvManagerReplicas() { std::filesystem::remove(hosts_); }
  ~KvManagerReplicas() override { std::filesystem::remove(hosts_); }

  static std::string address(int i) { return "127.0.0." + std::to_string(i); }
  // Whole or not at all, for programs read it meanwhile.
  void name_means(const std::vector<int>& managers) {
    std::ofstream next(hosts_ + ".next");
    next << kName;
    for (const int i : managers) next << " " << address(i);
    next << "\n";
    next.close();
    std::filesystem::rename(hosts_ + ".next", hosts_);
  }
  // ASan wants to be loaded first, and is not told of what is loaded before it.
  std::map<std::string, std::string> with_names(std::map<std::string, std::string> more = {}) {
    more["LD_PRELOAD"] = NAMED_HOSTS;
    more["KVASIR_HOSTS"] = hosts_;
    more["ASAN_OPTIONS"] = "verify_asan_link_order=0";
    return more;
  }
  void start_manager(int i) {
    const Variables variables(with_names());
    managers_[i] = std::make_unique<Program>(std::vector<std::string>{
        "kv-cache-manager", "--host", address(i), "--http-port", std::to_string(http_), "--bind",
        "tcp://" + address(i) + ":" + std::to_string(zmq_), "--peer",
        std::string("http://") + kName + ":" + std::to_string(http_)});
  }
  // As the tutorial's Deployment says it.
  void start_worker(int i) {
    const Variables variables(with_names(
        {{"VLLM_KV_EVENT_ENABLED", "true"},
         {"VLLM_KV_EVENT_ZMQ_ENDPOINT", std::string("tcp://") + kName + ":" + std::to_string(zmq_)},
         {"POD_NAME", "decode"}}));
    ports_[i] = leased_port();
    pods_.push_back("decode:" + std::to_string(ports_[i]));
    workers_[i] = std::make_unique<Program>(std::vector<std::string>{
        "worker", "--host", "127.0.0.1", "--port", std::to_string(ports_[i]), "--time-scale", "50",
        "--num-gpu-blocks-override", "256", "--max-model-len", "512"});
  }
  std::string get(int manager, const std::string& path) {
    return output_of("curl -sS http://" + address(manager) + ":" + std::to_string(http_) + path);
  }
  int status(int manager, const std::string& path) {
    return std::atoi(output_of("curl -s -o /dev/null -w '%{http_code}' http://" + address(manager) +
                               ":" + std::to_string(http_) + path)
                         .c_str());
  }
  // Prompts of 3 blocks; those of one family have the first block in common.
  static std::string prompt(int family, int number) {
    json ids = json::array();
    for (int k = 0; k < 16; ++k) ids.push_back(10 * family + k);
    for (int k = 0; k < 40; ++k) ids.push_back(500 + (41 * number + 7 * k) % 1801);
    return ids.dump();
  }
  void serve(int worker, const std::string& prompt) {
    const std::string answer =
        output_of("curl -sS http://127.0.0.1:" + std::to_string(ports_[worker]) +
                  "/v1/completions -H 'Content-Type: application/json' -d '{\"model\": "
                  "\"Qwen/Qwen3-32B\", \"max_tokens\": 1, \"prompt\": " +
                  prompt + "}'");
    ASSERT_THAT(answer, HasSubstr("\"prompt_tokens\":56")) << workers_[worker]->output();
  }
  json scores(int manager, const std::string& prompt) {
    const std::string answer =
        output_of("curl -sS http://" + address(manager) + ":" + std::to_string(http_) +
                  "/api/v1/score -d '{\"token_ids\":" + prompt + "}'");
    return json::parse(answer, nullptr, false);
  }
  bool comes(const std::function<bool()>& condition) {
    for (int i = 0; i < kTriesMost; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(kPause);
    }
    return false;
  }
  // Serves prompts that nobody asks for later until the manager has heard of both workers.
  bool comes_to_hear_both(int manager) {
    return comes([&] {
      for (int i = 0; i < 2; ++i) serve(i, prompt(9, 500 + ++unasked_));
      const std::string pods = get(manager, "/api/v1/cache/pods");
      return pods.find("\"pod_id\":\"" + pods_[0]) != std::string::npos &&
             pods.find("\"pod_id\":\"" + pods_[1]) != std::string::npos;
    });
  }
  bool comes_to_know_the_same(int one, int other) {
    return comes([&] {
      const std::string digest = get(one, "/api/v1/cache/digest");
      return digest.find("\"blocks\":") != std::string::npos &&
             digest == get(other, "/api/v1/cache/digest");
    });
  }

  const std::string hosts_ = testing::TempDir() + "kv-managers-" + std::to_string(getpid());
  const uint16_t http_ = leased_port();
  const uint16_t zmq_ = leased_port();
  std::map<int, std::unique_ptr<Program>> managers_;
  std::unique_ptr<Program> workers_[2];
  uint16_t ports_[2] = {};
  std::vector<std::string> pods_;  // as their topics name them
  int unasked_ = 0;
};

TEST_F(KvManagerReplicas, BothKnowAllAndOneThatTakesAnothersPlaceLearnsIt) {
  name_means({1, 2});
  for (const int i : {1, 2}) start_manager(i);
  for (const int i : {1, 2}) {
    ASSERT_TRUE(managers_[i]->comes_to_say("beginning with nothing")) << managers_[i]->output();
  }
  for (const int i : {0, 1}) start_worker(i);
  const std::string port = ":" + std::to_string(zmq_);
  for (const auto& worker : workers_) {
    ASSERT_TRUE(worker->comes_to_say("KV_EVENT publishing to tcp://127.0.0.1" + port +
                                     ", tcp://127.0.0.2" + port))
        << worker->output();
  }
  for (const int i : {1, 2}) ASSERT_TRUE(comes_to_hear_both(i)) << managers_[i]->output();

  // Each knows what both workers have, and says so alike.
  std::vector<std::string> prompts;
  const auto serve_one = [&] {
    const int number = static_cast<int>(prompts.size());
    prompts.push_back(prompt(number % 2, number));
    serve(number / 2 % 2, prompts.back());
  };
  const auto blocks_of = [&](int manager, const std::string& asked) {
    const json pods = scores(manager, asked)["scores"];
    int most = 0;
    for (const std::string& pod : pods_)
      most = std::max(most, pods[pod].value("blocks_present", 0));
    return most;
  };
  const auto expect_alike = [&](int one, int other) {
    for (const std::string& asked : prompts) {
      const json answer = scores(one, asked);
      EXPECT_EQ(answer, scores(other, asked)) << asked;
      for (const std::string& pod : pods_) {
        EXPECT_TRUE(answer["scores"][pod]["cache_hit_rate"].is_number()) << answer;
      }
    }
  };
  for (int i = 0; i < 6; ++i) serve_one();
  for (const int manager : {1, 2}) {
    ASSERT_TRUE(comes([&] { return blocks_of(manager, prompts.back()) == 3; }))
        << scores(manager, prompts.back());
  }
  expect_alike(1, 2);

  // One goes; another comes at another address, and requests go on meanwhile.
  managers_[1]->signal(SIGKILL);
  managers_[1]->wait();
  start_manager(3);
  ASSERT_TRUE(managers_[3]->comes_to_say("learning what other managers know"));
  EXPECT_EQ(status(3, "/readyz"), kHttpServiceUnavailable);
  name_means({2, 3});
  int tries = 0;
  ASSERT_TRUE(comes([&] {
    if (++tries % 5 == 0) serve_one(), serve_one(), serve_one();
    return managers_[3]->output().find("was taken over") != std::string::npos;
  })) << managers_[3]->output();
  EXPECT_THAT(managers_[3]->output(), HasSubstr(" blocks of 2 engines; 0 were left out"));
  EXPECT_TRUE(comes([&] { return status(3, "/readyz") == kHttpOk; }));
  for (int i = 0; i < 4; ++i) serve_one();  // the digest says when each was heard last
  ASSERT_TRUE(comes_to_know_the_same(2, 3))
      << get(2, "/api/v1/cache/digest") << get(3, "/api/v1/cache/digest");
  expect_alike(2, 3);
  EXPECT_EQ(blocks_of(3, prompts.front()), 3) << "which was served before it came";

  // What it took over goes as it came: one copy too many or too few would show.
  for (int i = 0; i < 300; ++i) serve_one();
  ASSERT_TRUE(comes_to_know_the_same(2, 3))
      << get(2, "/api/v1/cache/digest") << get(3, "/api/v1/cache/digest");
  EXPECT_EQ(blocks_of(3, prompts.front()), 1) << "others begin with the same block";
  EXPECT_GT(json::parse(get(3, "/api/v1/cache/pods"))["blocks_evicted"], 100);
  for (const std::string& pod : pods_) {
    const std::string path = "/api/v1/cache/pod/" + pod;
    EXPECT_EQ(json::parse(get(3, path))["freshness"], json::parse(get(2, path))["freshness"]);
  }

  // grep "KV_EVENT" finds where events go: said at the start and when that changes, not for events.
  for (const auto& worker : workers_) {
    std::istringstream log(worker->output());
    int told = 0;
    for (std::string line; std::getline(log, line);) told += line.find("KV_EVENT") != line.npos;
    EXPECT_EQ(told, 3) << worker->output();
  }
}

}  // namespace
}  // namespace kvasir
