#include "apps/access_log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tenants/tenant.h"

namespace kvasir {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr WallTime kThen = WallTime(std::chrono::seconds(1'800'000'000));

TEST(AccessLine, SaysWhatIsKnownAndNothingElse) {
  Tenant tenant;
  tenant.name = "research";
  VisitReport report;
  report.tenant = &tenant;
  report.request_id = "id-7";
  report.method = "POST";
  report.path = "/v1/completions";
  report.model = "m";
  report.route = "default/chat";
  report.endpoint = "vllm-0";
  report.status = 200;
  report.total = milliseconds(1500);
  report.first_byte = microseconds(250);
  report.held = milliseconds(3);
  report.request_bytes = 120;
  report.answer_bytes = 4000;
  report.prompt_tokens = 30;
  report.completion_tokens = 12;
  report.cached_tokens = 16;
  report.counted_tokens = 42;
  std::string line;
  append_access_line(kThen, report, line);
  EXPECT_EQ(line, R"({"time":"2027-01-15T08:00:00.000Z","tenant":"research","request_id":"id-7",)"
                  R"("method":"POST","path":"/v1/completions","model":"m","route":"default/chat",)"
                  R"("endpoint":"vllm-0","status":200,"end":"complete","duration_ms":1500,)"
                  R"("first_byte_ms":0.25,"held_ms":3,"request_bytes":120,"answer_bytes":4000,)"
                  R"("prompt_tokens":30,"completion_tokens":12,"cached_tokens":16,)"
                  "\"counted_tokens\":42}\n");
  line.clear();
  VisitReport refused;
  refused.method = "GET";
  refused.path = "/";
  refused.status = 401;
  refused.refusal = TenantRefusal::kNoKey;
  append_access_line(kThen, refused, line);
  EXPECT_EQ(line, R"({"time":"2027-01-15T08:00:00.000Z","method":"GET","path":"/","status":401,)"
                  R"("end":"complete","refused":"no-key","duration_ms":0,"request_bytes":0,)"
                  "\"answer_bytes\":0}\n");
}

TEST(AccessLine, StaysOneLineOfJsonWhateverClientsWrite) {
  VisitReport report;
  const std::string_view evil("/\"\n\r\x01\xff}\xc3\xa4\\", 11);
  report.path = report.model = report.request_id = report.method = evil;
  std::string line;
  append_access_line(kThen, report, line);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_FALSE(nlohmann::json::parse(line, nullptr, false).is_discarded()) << line;
}

}  // namespace
}  // namespace kvasir
