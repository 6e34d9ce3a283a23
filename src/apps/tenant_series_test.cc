#include "apps/tenant_series.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tenants/tenant_table.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TenantSeriesTest : public ::testing::Test {
 protected:
  void ended(const std::string& tenant, VisitReport report) {
    Tenant named;
    named.name = tenant;
    if (!tenant.empty()) report.tenant = &named;
    series_.ended(report);
  }

  MetricRegistry registry_;
  TenantSeries series_{registry_};
};

TEST_F(TenantSeriesTest, CountsForEachTenant) {
  VisitReport good;
  good.status = 200;
  good.prompt_tokens = 30;
  good.completion_tokens = 12;
  good.cached_tokens = 16;
  good.counted_tokens = 42;
  ended("a", good);
  ended("a", good);
  VisitReport refused;
  refused.status = 429;
  refused.refusal = TenantRefusal::kTokens;
  ended("b", refused);
  refused.status = 401;
  refused.refusal = TenantRefusal::kUnknownKey;
  ended("", refused);
  series_.read(true);
  const std::string page = registry_.expose();
  for (const char* line :
       {"kvasir_gateway_tenant_requests_total{tenant=\"a\",code=\"2xx\"} 2\n",
        "kvasir_gateway_tenant_tokens_total{tenant=\"a\",kind=\"prompt\"} 60\n",
        "kvasir_gateway_tenant_tokens_total{tenant=\"a\",kind=\"completion\"} 24\n",
        "kvasir_gateway_tenant_tokens_total{tenant=\"a\",kind=\"cached\"} 32\n",
        "kvasir_gateway_tenant_tokens_total{tenant=\"a\",kind=\"counted\"} 84\n",
        "kvasir_gateway_tenant_requests_total{tenant=\"b\",code=\"4xx\"} 1\n",
        "kvasir_gateway_tenant_refusals_total{tenant=\"b\",reason=\"tokens-per-minute\"} 1\n",
        "kvasir_gateway_tenant_refusals_total{reason=\"unknown-key\"} 1\n",
        "kvasir_gateway_tenant_requests_total{code=\"4xx\"} 1\n",
        "kvasir_gateway_keys_reads_total{result=\"used\"} 1\n"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
}

TEST_F(TenantSeriesTest, TheTenantsBeyondTheLimitShareOneName) {
  VisitReport good;
  good.status = 200;
  for (size_t i = 0; i < TenantSeries::kTenantsMost + 5; ++i) ended("t" + std::to_string(i), good);
  const std::string page = registry_.expose();
  EXPECT_THAT(page,
              HasSubstr("kvasir_gateway_tenant_requests_total{tenant=\"t999\",code=\"2xx\"} 1\n"));
  EXPECT_THAT(page, Not(HasSubstr("tenant=\"t1000\"")));
  EXPECT_THAT(page,
              HasSubstr("kvasir_gateway_tenant_requests_total{tenant=\"other\",code=\"2xx\"} 5\n"));
}

TEST_F(TenantSeriesTest, SaysWhatIsInFlight) {
  TenantEntry entry;
  entry.tenant.name = "a";
  const TenantTable table({entry}, nullptr);
  table.tenants()[0]->use->in_flight = 3;
  MetricRegistry page;
  TenantSeries::add_in_flight(table, page);
  EXPECT_THAT(page.expose(),
              HasSubstr("kvasir_gateway_tenant_requests_in_flight{tenant=\"a\"} 3\n"));
}

}  // namespace
}  // namespace kvasir
