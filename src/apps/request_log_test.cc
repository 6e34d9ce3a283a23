#include "apps/request_log.h"

#include <gtest/gtest.h>

#include "apps/epp_fixture.h"

namespace kvasir {
namespace {

TEST(RequestLine, SaysWhereItWentAndWhatItTook) {
  const EppFixture fixture;
  EndReport report = fixture.end();
  report.held = std::chrono::milliseconds(30);
  EXPECT_EQ(request_line(report),
            "request req-1 is over: status 200 at pod-1, 1100.0 ms, first byte 100.0 ms, held "
            "30.0 ms, 1000 prompt tokens, 256 of them cached, 101 generated");
}

TEST(RequestLine, SaysWhoPrefilled) {
  const EppFixture fixture;
  EndReport report = fixture.end();
  const Endpoint prefill{"pod-7", "10.0.0.7", 8000, {}};
  report.prefill = &prefill;
  report.prefill_time = std::chrono::milliseconds(70);
  EXPECT_NE(request_line(report).find("at pod-1, 1100.0 ms, prefilled at pod-7 in 70.0 ms, first"),
            std::string::npos)
      << request_line(report);
}

TEST(RequestLine, OfOneThatWentNowhere) {
  EndReport report;
  report.labels.request_id = "req-2";
  report.status = 429;
  EXPECT_EQ(request_line(report), "request req-2 is over: status 429, 0.0 ms");
}

}  // namespace
}  // namespace kvasir
