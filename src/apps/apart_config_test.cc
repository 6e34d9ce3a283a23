#include "apps/apart_config.h"

#include <gtest/gtest.h>

#include "base/virtual_executor_fixture.h"
#include "serving/pool.h"

namespace kvasir {
namespace {

struct QuietProbe final : PoolProbe {
  void on_health_changed(const Endpoint&, bool) override {}
};

TEST(ApartConfig, SendsThePromptToOneWorkerAndTheAnswerToAnother) {
  PoolOptions options;
  options.config = apart_config();
  options.config_name = "apart";
  options.feeds.endpoints = {{"p", "10.0.0.1", 1, {{"llm-d.ai/role", "prefill"}}},
                             {"d", "10.0.0.1", 2, {{"llm-d.ai/role", "decode"}}},
                             {"w", "10.0.0.1", 3, {}}};
  VirtualExecutor executor;
  QuietProbe probe;
  Result<std::unique_ptr<Pool>> pool = Pool::open(executor, options, probe);
  ASSERT_TRUE(pool) << pool.error().message;
  (*pool)->fleet().replace_all(options.feeds.endpoints);
  for (uint32_t i = 0; i < 3; ++i) (*pool)->fleet().set_healthy(EndpointId(i), true);
  Request request;
  for (request.id = 1; request.id < 3; ++request.id) {
    const Scheduled scheduled = (*pool)->scheduler().schedule(request, {});
    ASSERT_TRUE(scheduled.ok());
    EXPECT_EQ(scheduled.decision.prefill, EndpointId(0));
    EXPECT_NE(scheduled.decision.endpoint, EndpointId(0));
  }
}

}  // namespace
}  // namespace kvasir
