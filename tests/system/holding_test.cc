// That `kvasir up` holds requests unless it is told otherwise: its policy is kv.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "running_up.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Holding, IsOnWithKvAndOnlyWithIt) {
  for (const std::string policy : {"kv", "load-cost"}) {
    RunningUp up({"--port", "0", "--workers", "1", "--time-scale", "20", "--policy", policy});
    ASSERT_TRUE(up.wait_until_ready()) << up.output();  // after a first request
    const Result<HttpAnswer> page = up.get("/metrics");
    ASSERT_TRUE(page.ok()) << page.error().message;
    const auto none = HasSubstr("kvasir_gateway_admissions_total{outcome=\"Dispatched\"} 0\n");
    if (policy == "kv") {
      EXPECT_THAT(page->body, Not(none));
    } else {
      EXPECT_THAT(page->body, none);
    }
  }
}

}  // namespace
}  // namespace kvasir
