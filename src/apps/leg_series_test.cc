#include "apps/leg_series.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "base/whole_file.h"
#include "gateway/gateway_options.h"
#include "routes/route_rule.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;

const HeaderRoute kRoute{"x-kv-backend", "fs", {"h", 1}};

void fill(LegSeries& series) {
  HandoffReport handoff;
  handoff.path = HandoffReport::Path::kTwoLegs;
  handoff.hedged = true;
  handoff.prefill_time = std::chrono::milliseconds(30);
  series.ended({handoff, {}, true});
  handoff.path = HandoffReport::Path::kRefused;
  series.ended({handoff, "invalid_prefill_handoff", false});
  series.routed(&kRoute);
  series.routed(nullptr);
  LegsReport answer;
  answer.status = 200;
  answer.first_byte_time = std::chrono::milliseconds(4);
  series.ended({kRoute, answer});
  RouteRule rule;
  rule.route = {"ns", "ab"};
  const RouteTarget target{RouteTarget::Kind::kService, {"vllm", "fs-proxy"}, 8080, false};
  series.ended({rule, target, answer});
  series.retried(rule, target, RouteRetryReason::kStatus);
  series.ended(MirrorReport{rule, target, 0, false});
}

TEST(LegSeries, CountsWhatBecameOfRequestsWithTwoLegs) {
  MetricRegistry registry;
  LegSeries series(registry);
  fill(series);
  const std::string page = registry.expose();
  for (const char* line :
       {"kvasir_gateway_two_leg_requests_total{path=\"two-legs\"} 1\n",
        "kvasir_gateway_two_leg_requests_total{path=\"refused\"} 1\n",
        "kvasir_gateway_two_leg_requests_total{path=\"local-decode\"} 0\n",
        "kvasir_gateway_handoffs_refused_total{code=\"invalid_prefill_handoff\"} 1\n",
        "kvasir_gateway_prefills_hedged_total 2\n", "kvasir_gateway_handoffs_released_total 1\n",
        "kvasir_gateway_prefill_seconds_count 2\n",
        "kvasir_gateway_header_routed_total{route=\"x-kv-backend=fs\"} 1\n",
        "kvasir_gateway_header_routed_total{route=\"default\"} 1\n",
        "kvasir_gateway_header_route_answers_total{code=\"200\",route=\"x-kv-backend=fs\"} 1\n",
        "kvasir_gateway_header_route_first_byte_seconds_count{route=\"x-kv-backend=fs\"} 1\n",
        "kvasir_gateway_route_retries_total{reason=\"status\",route=\"ns/ab\",service=\"vllm/"
        "fs-proxy\"} 1\n",
        "kvasir_gateway_mirrored_requests_total{backend=\"vllm/fs-proxy\",code=\"none\",route=\"ns/"
        "ab\"} 1\n",
        "kvasir_gateway_route_answers_total{code=\"200\",route=\"ns/ab\",service=\"vllm/"
        "fs-proxy\"} "
        "1\n"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
}

TEST(LegSeries, AreInTheManual) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  if (root == nullptr) GTEST_SKIP() << "ctest says where the sources are";
  const Result<std::string> manual =
      read_whole_file(std::string(root) + "/docs/METRICS.md", size_t{1} << 20);
  ASSERT_TRUE(manual);
  MetricRegistry registry;
  LegSeries series(registry);
  fill(series);
  std::istringstream page(registry.expose());
  size_t names = 0;
  for (std::string hash, word, name, rest; page >> hash;) {
    if (hash == "#" && page >> word >> name && word == "TYPE") {
      EXPECT_THAT(*manual, HasSubstr("| `" + name + "` |"));
      ++names;
    }
    std::getline(page, rest);
  }
  EXPECT_EQ(names, 11u);
}

}  // namespace
}  // namespace kvasir
