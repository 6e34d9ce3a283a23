// `kvasir up -f examples/proxy-performance`: a burst by way of an InferencePool, whose candidates
// are two proxies before a pair of workers each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "mixed_requests.h"
#include "running_up.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kBurst = 50;
constexpr int kAtOnce = 20;
constexpr int kEachAtLeast = 12;

bool has(const std::string& answer, const std::string& text) {
  return answer.find(text) != std::string::npos;
}

TEST(ProxyPerformance, ABurstReachesBothPairsAndEachIdNamesItsOwn) {
  RunningUp up({"-f", std::string(std::getenv("KVASIR_SOURCE_DIR")) + "/examples/proxy-performance",
                "--port", "0"});
  ASSERT_TRUE(up.wait_until_ready()) << up.output();
  std::vector<std::string> answers(kBurst);
  std::atomic<int> next{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < kAtOnce; ++i) {
    clients.emplace_back([&] {
      for (int at; (at = next++) < kBurst;) {
        answers[static_cast<size_t>(at)] = post_to(
            up.endpoint().port, "/v1/completions",
            R"({"model":"Qwen/Qwen3-Coder-30B-A3B-Instruct","prompt":"hello","max_tokens":8})");
      }
    });
  }
  for (std::thread& client : clients) client.join();
  int p2p = 0;
  int fs = 0;
  for (const std::string& answer : answers) {
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
    const bool by_p2p = has(answer,
                            "cmpl-___prefill_addr_vllm-prefill-p2p:14579___decode_addr_vllm-"
                            "decode-p2p:14579_");
    const bool by_fs =
        has(answer, "cmpl-___prefill_addr_vllm-prefill-fs___decode_addr_vllm-decode-fs_");
    EXPECT_NE(by_p2p, by_fs) << answer;
    EXPECT_TRUE(
        has(answer, by_p2p ? "x-selected-pod: vllm-p2p-proxy" : "x-selected-pod: vllm-fs-proxy"))
        << answer;
    p2p += by_p2p;
    fs += by_fs;
  }
  EXPECT_GE(p2p, kEachAtLeast);
  EXPECT_GE(fs, kEachAtLeast);
  EXPECT_THAT(answers[0], HasSubstr("x-scheduling-time-ms"));
}

}  // namespace
}  // namespace kvasir
