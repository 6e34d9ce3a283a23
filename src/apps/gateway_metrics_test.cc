// What the gateway's log says.
#include "apps/gateway_metrics.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>

#include "telemetry/log.h"

namespace kvasir {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A pipe in the place of standard error.
class GatewayLogTest : public testing::Test {
 protected:
  GatewayLogTest() {
    EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0);
    LogThreadOptions options;
    options.descriptor = ends_[1];
    thread_.emplace(options);
  }
  ~GatewayLogTest() override {
    thread_.reset();
    close(ends_[0]);
    close(ends_[1]);
  }
  // Since the last call; once.
  std::string written() {
    thread_.reset();
    char buffer[16384];
    fcntl(ends_[0], F_SETFL, O_NONBLOCK);
    const ssize_t got = read(ends_[0], buffer, sizeof buffer);
    return got > 0 ? std::string(buffer, static_cast<size_t>(got)) : std::string();
  }

  GatewayMetrics metrics_{"kv"};
  int ends_[2] = {-1, -1};
  std::optional<LogThread> thread_;
};

TEST_F(GatewayLogTest, ABadAnswerHasALineWithItsRequestAndItsEndpoint) {
  metrics_.on_bad_answer({"id-7", "a", 504, false, "no byte of the answer arrived in time"});
  metrics_.on_bad_answer({"id-8", "b", 200, true, "connection lost"});
  metrics_.on_bad_answer({"id-9", "", 503, false, "no worker is available"});
  metrics_.on_bad_answer({"id-10", "c", 0, false, "the gateway stopped"});
  EXPECT_THAT(
      written(),
      AllOf(HasSubstr("request id-7 failed (status 504): endpoint a: no byte of the answer"),
            HasSubstr("request id-8: its answer was cut after it had begun (status 200): endpoint "
                      "b: connection lost"),
            HasSubstr("request id-9 failed (status 503): no worker is available"),
            HasSubstr("request id-10 failed: endpoint c: the gateway stopped")));
}

TEST_F(GatewayLogTest, AnEndpointThatLeftIsNotCalledUnhealthy) {
  const Endpoint endpoint{"a", "127.0.0.1", 1};
  metrics_.on_joined(EndpointId(0), endpoint);
  metrics_.on_health_changed(endpoint, true);
  metrics_.on_left(endpoint);
  metrics_.on_unwatched(endpoint);
  EXPECT_THAT(written(),
              AllOf(HasSubstr("endpoint a left the fleet"), Not(HasSubstr("unhealthy"))));
  EXPECT_THAT(metrics_.page(), HasSubstr("kvasir_gateway_upstream_healthy{endpoint=\"a\"} 0"));
}

TEST_F(GatewayLogTest, WhatWasKnownOfACacheIsComparedWithWhatItsEngineFound) {
  const Endpoint a{"a", "10.0.0.1", 8000}, b{"b", "10.0.0.2", 8000};
  for (const Endpoint* endpoint : {&a, &b}) {
    EndReport report;
    report.endpoint = endpoint;
    report.scheduled = true;
    report.status = 200;
    report.predicted_cached_tokens = 64;
    report.cached_tokens = endpoint == &a ? 64 : 48;
    metrics_.on_ended(report);
  }
  EXPECT_THAT(metrics_.page(),
              AllOf(HasSubstr("kvasir_kv_predictions_total{pod=\"a\",found=\"equal\"} 1\n"),
                    HasSubstr("kvasir_kv_predictions_total{pod=\"b\",found=\"less\"} 1\n"),
                    HasSubstr("kvasir_kv_actual_cached_tokens_total{pod=\"b\"} 48\n")));
}

TEST_F(GatewayLogTest, AServiceWithoutAnAddressIsTold) {
  metrics_.on_service_lost("manager.svc has no address");
  EXPECT_THAT(written(), HasSubstr("not at all: manager.svc has no address"));
  EXPECT_THAT(metrics_.page(), HasSubstr("kvasir_gateway_service_look_up_failures_total 1"));
}

TEST_F(GatewayLogTest, CertificatesThatAreReadAgainAreToldAndCounted) {
  metrics_.on_certificate_read("");
  metrics_.on_certificate_read("/certs/tls.key is not the key of /certs/tls.crt");
  EXPECT_THAT(metrics_.page(),
              AllOf(HasSubstr("kvasir_gateway_certificate_reads_total{result=\"used\"} 1\n"),
                    HasSubstr("kvasir_gateway_certificate_reads_total{result=\"refused\"} 1\n")));
  EXPECT_THAT(written(), AllOf(HasSubstr("new connections get the new certificates"),
                               HasSubstr("those before stay: /certs/tls.key is not the key")));
}

TEST_F(GatewayLogTest, BadAnswersDoNotFillTheLog) {
  for (int i = 0; i < 1000; ++i) metrics_.on_bad_answer({"id", "a", 504, false, "late"});
  const std::string lines = written();
  // A second may pass in between.
  EXPECT_LE(std::count(lines.begin(), lines.end(), '\n'), 100);
}

TEST_F(GatewayLogTest, AnotherPoolsSeriesAreOnTheSamePageUnderItsName) {
  GatewayMetrics second(metrics_, "config", {"ns", "p"});
  const Endpoint endpoint{"a", "127.0.0.1", 1};
  for (GatewayMetrics* metrics : {&metrics_, &second}) metrics->on_joined(EndpointId(0), endpoint);
  second.on_routed(endpoint);
  const std::string page = metrics_.page();
  EXPECT_THAT(
      page,
      AllOf(HasSubstr("kvasir_gateway_upstream_requests_total{endpoint=\"a\"} 0\n"),
            HasSubstr("kvasir_gateway_upstream_requests_total{endpoint=\"a\",pool=\"ns/p\"} 1\n"),
            HasSubstr("kvasir_gateway_held_requests{pool=\"ns/p\"} 0\n")));
  const std::string head = "# TYPE kvasir_gateway_upstream_requests_total";
  EXPECT_EQ(page.find(head), page.rfind(head)) << "each family once";
}

}  // namespace
}  // namespace kvasir
