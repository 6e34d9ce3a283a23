// `kvasir up -f examples/ab-kv-backends`: two ways for KV to travel, chosen by a header.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "mixed_requests.h"
#include "running_up.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int kRequests = 6;  // by each backend

// A prompt of 2,000 tokens that no other has begun with.
std::string long_body(int number) {
  std::string prompt = "number " + std::to_string(number) + ":";
  for (int i = 0; i < 400; ++i) prompt += " word" + std::to_string((i * 7 + number) % 10);
  return nlohmann::json({{"model", "Qwen/Qwen3-Coder-30B-A3B-Instruct"},
                         {"prompt", prompt},
                         {"max_tokens", 4}})
      .dump();
}

class AbBackends : public ::testing::Test {
 protected:
  AbBackends()
      : logs_(fs::temp_directory_path() / ("ab-backends-" + std::to_string(getpid()))),
        up_({"-f", std::string(std::getenv("KVASIR_SOURCE_DIR")) + "/examples/ab-kv-backends",
             "--port", "0", "--log-dir", logs_.string()}) {}
  ~AbBackends() override { fs::remove_all(logs_); }

  std::string answer(const std::string& header, const std::string& body) {
    return post_to(up_.endpoint().port, "/v1/completions", body, header);
  }
  double metric(const char* pair, const char* name) {
    return metric_of(up_.port_of(std::string("vllm-decode-") + pair), name) +
           metric_of(up_.port_of(std::string("vllm-prefill-") + pair), name);
  }

  const fs::path logs_;
  RunningUp up_;
};

struct Backend {
  const char* header;
  const char* pair;
  const char* prefill;  // in ids
  const char* decode;
};

constexpr Backend kBackends[] = {
    {"x-kv-backend: nvlink\r\n", "p2p", "___prefill_addr_vllm-prefill-p2p:14579___",
     "___decode_addr_vllm-decode-p2p:14579_"},
    {"x-kv-backend: fs\r\n", "fs", "___prefill_addr_vllm-prefill-fs___",
     "___decode_addr_vllm-decode-fs_"}};

TEST_F(AbBackends, TheHeaderChoosesThePairAndKvReallyTravels) {
  ASSERT_TRUE(up_.wait_until_ready()) << up_.output();
  double seconds[2] = {};
  for (int which = 0; which < 2; ++which) {
    const Backend& backend = kBackends[which];
    const char* kHits = "vllm:external_prefix_cache_hits_total";
    for (int i = 0; i < kRequests; ++i) {
      const std::string told = answer(backend.header, long_body(10 * which + i));
      ASSERT_THAT(told, StartsWith("HTTP/1.1 200"));
      EXPECT_THAT(told, AllOf(HasSubstr(std::string("\"id\":\"cmpl-") + backend.prefill),
                              HasSubstr(backend.decode)));
    }
    EXPECT_GT(metric_of(up_.port_of(std::string("vllm-decode-") + backend.pair), kHits),
              kRequests * 1000);
    const double count = metric(backend.pair, "kvasir_kv_transfer_seconds_count");
    ASSERT_GE(count, kRequests);
    seconds[which] = metric(backend.pair, "kvasir_kv_transfer_seconds_sum") / count;
  }
  // 2,000 tokens are 0.5 GB: two milliseconds over the one link, a quarter of a second over the
  // other.
  EXPECT_LT(seconds[0], seconds[1]);
  EXPECT_GT(seconds[1], 0.1);
}

TEST_F(AbBackends, AnythingElseFallsThroughToTheDefaultRoute) {
  ASSERT_TRUE(up_.wait_until_ready()) << up_.output();
  for (const char* header : {"", "x-kv-backend: tape\r\n"}) {
    const std::string told = answer(header, long_body(50));
    EXPECT_THAT(told, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(told, AnyOf(HasSubstr("x-selected-pod: vllm-p2p-proxy"),
                            HasSubstr("x-selected-pod: vllm-fs-proxy")));
  }
  EXPECT_THAT(answer("x-kv-backend: fs\r\n", long_body(51)), Not(HasSubstr("vllm-p2p")));
}

TEST_F(AbBackends, TheTableHasARowForEach) {
  ASSERT_TRUE(up_.wait_until_ready()) << up_.output();
  const std::string script =
      std::string(std::getenv("KVASIR_SOURCE_DIR")) + "/examples/ab-kv-backends/compare.py";
  const std::string command = "python3 " + script + " " + logs_.string() + " --requests 3 > " +
                              logs_.string() + "/table 2>&1";
  EXPECT_EQ(std::system(command.c_str()), 0);
  std::ifstream file(logs_ / "table");
  const std::string table{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(table, AllOf(HasSubstr("\nnvlink "), HasSubstr("\nfs "),
                           HasSubstr("vllm-prefill-p2p:14579"), HasSubstr("\n(no header) ")));
}

// The burst of the tutorial's plan for proxies: 50 requests, 20 at once. Links have no shape here,
// so that both are as fast.
TEST(AbBackendsBurst, ReachesBothProxies) {
  const fs::path folder = fs::temp_directory_path() / ("ab-burst-" + std::to_string(getpid()));
  fs::copy(std::string(std::getenv("KVASIR_SOURCE_DIR")) + "/examples/ab-kv-backends", folder);
  std::ifstream file(folder / "fleet.yaml");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  for (const std::string shape :
       {", link_gb_per_s: 2, link_latency_ms: 1", ", link_gb_per_s: 300"}) {
    for (size_t at; (at = text.find(shape)) != std::string::npos;) text.erase(at, shape.size());
  }
  std::ofstream(folder / "fleet.yaml") << text;
  RunningUp up({"-f", folder.string(), "--port", "0"});
  const bool ready = up.wait_until_ready();
  fs::remove_all(folder);
  ASSERT_TRUE(ready) << up.output();
  std::vector<MixedRequest> burst;
  for (int i = 0; i < 50; ++i) burst.push_back({"/v1/completions", long_body(60 + i), false});
  for (const std::string& gist : ask_all(up.endpoint().port, burst, {}, 20)) {
    EXPECT_THAT(gist, StartsWith("HTTP/1.1 200"));
  }
  for (const char* proxy : {"vllm-fs-proxy", "vllm-p2p-proxy"}) {
    EXPECT_GE(metric_of(up.port_of(proxy), "kvasir_pd_proxy_requests_total"), 12) << proxy;
  }
}

}  // namespace
}  // namespace kvasir
