#include "apps/pd_proxy_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using ::testing::HasSubstr, ::testing::Not;

TEST(PdProxyMetricsPage, TellsWhoWaitsAndWhatIsUnderWay) {
  PdProxyOptions options;
  options.prefill = {{{"10.0.0.1", 8000}, "p"}};
  options.decode = {{{"10.0.0.2", 8000}, "d"}};
  PdWorkers workers(options);
  workers.list().front().worker->prompt_tokens = 1900;
  const std::string page = PdProxyMetrics(false).page(workers, 3, TimePoint());
  EXPECT_THAT(page, HasSubstr("\nkvasir_pd_proxy_requests_waiting 3\n"));
  EXPECT_THAT(page, HasSubstr("\nkvasir_pd_proxy_prefill_tokens{worker=\"10.0.0.1:8000\"} 1900\n"));
  EXPECT_THAT(page, Not(HasSubstr("kvasir_pd_proxy_prefill_tokens{worker=\"10.0.0.2")));
}

}  // namespace
}  // namespace kvasir
