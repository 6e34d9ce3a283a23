// A gateway that listens to the KV events of its workers knows what their caches hold: before each
// request it says how many tokens of the prompt the worker will find there, and the worker does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "leased_port.h"
#include "program.h"

namespace kvasir {
namespace {

using nlohmann::json;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

constexpr int kTriesMost = 300;
constexpr Duration kPause = std::chrono::milliseconds(100);

std::string post(const std::string& path, const std::string& body) {
  return "POST " + path +
         " HTTP/1.1\r\nHost: k\r\nConnection: close\r\nContent-Type: application/json\r\n"
         "Content-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}
std::string get(const std::string& path) {
  return "GET " + path + " HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n";
}
std::string field(const std::string& answer, const std::string& name) {
  const size_t found = answer.find("\r\n" + name + ": ");
  if (found == std::string::npos) return "";
  const size_t begin = found + name.size() + 4;
  return answer.substr(begin, answer.find("\r\n", begin) - begin);
}
json body_of(const std::string& answer) {
  const size_t begin = answer.find("\r\n\r\n");
  if (begin == std::string::npos) return {};
  return json::parse(answer.substr(begin + 4), nullptr, false);
}

class KvEvents : public ::testing::Test {
 protected:
  KvEvents() {
    for (int i = 0; i < 2; ++i) {
      ports_.push_back(leased_port());
      start_worker(i);
    }
    gateway_port_ = leased_port();
    std::string urls;
    for (const uint16_t port : ports_) {
      urls += (urls.empty() ? "" : ",") + ("http://127.0.0.1:" + std::to_string(port));
    }
    gateway_ = std::make_unique<Program>(std::vector<std::string>{
        "gateway", "--port", std::to_string(gateway_port_), "--worker-urls", urls, "--kv-events",
        place("PORT"), "--kv-replay", place("PORT") + "-replay", "--threads", "1"});
  }

  static std::string place(const std::string& port) {
    return "ipc://@kvasir-test-" + std::to_string(getpid()) + "-" + port;
  }
  void start_worker(int i) {
    const std::string port = std::to_string(ports_[i]);
    workers_.resize(2);
    workers_[i].reset();
    workers_[i] = std::make_unique<Program>(std::vector<std::string>{
        "worker", "--port", port, "--time-scale", "50", "--kv-events-config",
        R"({"enable_kv_cache_events":true,"endpoint":")" + place(port) +
            R"(","replay_endpoint":")" + place(port) + R"(-replay"})"});
  }

  bool comes(const std::function<bool()>& condition) {
    for (int i = 0; i < kTriesMost; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(kPause);
    }
    return false;
  }
  std::string page() { return ask(gateway_port_, get("/metrics")); }
  bool both_are_heard() {
    const std::string now = page();
    return std::all_of(ports_.begin(), ports_.end(), [&](uint16_t port) {
      const std::string pod = "pod=\"127.0.0.1:" + std::to_string(port) + "\"";
      return now.find("kvasir_kv_connected{" + pod + ",rank=\"0\"} 1\n") != std::string::npos;
    });
  }
  void settle() {
    ASSERT_TRUE(comes([&] {
      const std::string models = ask(gateway_port_, get("/v1/models"));
      const json list = body_of(models);
      if (!list.is_object() || !list.contains("data")) return false;
      model_ = list["data"][0]["id"];
      return true;
    })) << gateway_->output();
    ASSERT_TRUE(comes([&] { return both_are_heard(); })) << gateway_->output() << page();
  }

  struct Told {
    int predicted = -1;
    int found = -1;
    std::string pod;
  };
  Told complete(const json& prompt) {
    const json request = {{"model", model_}, {"prompt", prompt}, {"max_tokens", 4}};
    const std::string answer = ask(gateway_port_, post("/v1/completions", request.dump()));
    const json body = body_of(answer);
    if (!body.is_object() || !body.contains("usage")) {
      ADD_FAILURE() << answer;
      return {};
    }
    told_exact_ = field(answer, "x-cache-knowledge") == "exact";
    return {std::stoi(field(answer, "x-cache-prefix-length")),
            body["usage"]["prompt_tokens_details"]["cached_tokens"].get<int>(),
            field(answer, "x-selected-pod")};
  }
  static json ids(int first, int count) {
    json list = json::array();
    for (int i = 0; i < count; ++i) list.push_back(first + i % 97);
    return list;
  }

  std::vector<uint16_t> ports_;
  std::vector<std::unique_ptr<Program>> workers_;
  uint16_t gateway_port_ = 0;
  std::unique_ptr<Program> gateway_;
  std::string model_;
  bool told_exact_ = false;  // of the last request
};

TEST_F(KvEvents, WhatIsPredictedIsWhatWorkersFind) {
  settle();
  complete(ids(1, 40));  // so that engines have said how large their blocks are
  complete(ids(300, 40));
  ASSERT_TRUE(comes([&] { return page().find("state=\"exact\"} 1\n") != std::string::npos; }))
      << page();
  for (int round = 0; round < 4; ++round) {
    for (const int length : {16, 17, 100, 400, 401}) {
      const Told told = complete(ids(700 + round / 2, length));
      EXPECT_EQ(told.predicted, told.found) << length << " ids, round " << round;
      if (round % 2 == 1) {
        EXPECT_EQ(told.found, (length - 1) / 16 * 16);
      }
    }
  }
  const std::string text(2000, 'x');
  for (int round = 0; round < 2; ++round) {
    const Told told = complete(text);
    EXPECT_EQ(told.predicted, told.found) << "a text, round " << round;
    if (round == 1) {
      EXPECT_GT(told.found, 0);
    }
  }
  EXPECT_THAT(page(), HasSubstr("kvasir_prompt_tokens_known_total{from=\"engine\"}"));
  EXPECT_THAT(page(), ContainsRegex("kvasir_kv_predictions_total.*found=\"equal\"} [1-9]"));
  EXPECT_TRUE(comes([&] {
    complete(text);
    return told_exact_;
  })) << "the answer says that it is no guess";
}

TEST_F(KvEvents, AResetThroughTheGatewayIsKnownAtOnce) {
  settle();
  const json prompt = ids(5, 320);
  complete(prompt);
  ASSERT_TRUE(comes([&] { return complete(prompt).predicted == 304; }));
  for (int i = 0; i < 2; ++i) {
    const std::string answer = ask(gateway_port_, post("/reset_prefix_cache", ""));
    EXPECT_THAT(answer, HasSubstr(" 200 "));
    EXPECT_NE(field(answer, "x-selected-pod"), "");
  }
  const Told told = complete(prompt);
  EXPECT_EQ(told.predicted, 0);
  EXPECT_EQ(told.found, 0);
  EXPECT_EQ(complete(prompt).found, 304);
}

TEST_F(KvEvents, ARestartedWorkerHoldsNothing) {
  settle();
  const json prompt = ids(5, 320);
  const std::string pod = complete(prompt).pod;
  ASSERT_TRUE(comes([&] { return complete(prompt).predicted == 304; }));
  const int which = pod.ends_with(std::to_string(ports_[0])) ? 0 : 1;
  start_worker(which);
  ASSERT_TRUE(comes([&] {
    const std::string line = "kvasir_gateway_upstream_healthy{endpoint=\"" + pod + "\"} 1\n";
    return page().find(line) != std::string::npos && both_are_heard();
  })) << gateway_->output();
  complete(ids(900, 40));
  complete(ids(1000, 40));  // each publishes something
  ASSERT_TRUE(comes([&] {
    const Told told = complete(prompt);
    return told.predicted == 304 && told.found == 304;
  })) << gateway_->output();
}

// A thread that handles SIGTERM itself ends the program in the middle of its requests.
TEST_F(KvEvents, WhoPublishesAndWhoListensEndAsTheyAreAsked) {
  settle();
  gateway_->signal(SIGTERM);
  EXPECT_EQ(gateway_->wait(), 0);
  for (const auto& worker : workers_) {
    worker->signal(SIGTERM);
    EXPECT_EQ(worker->wait(), 0);
  }
}

}  // namespace
}  // namespace kvasir
