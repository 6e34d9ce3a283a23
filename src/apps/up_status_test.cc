#include "apps/up_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TimePoint at(int second) {
  return TimePoint(Duration(seconds(second)));
}

std::vector<ProcessStatus> one_worker(int64_t pid, bool alive, uint32_t restarts) {
  ProcessStatus status;
  status.name = "worker-0";
  status.port = 9001;
  status.pid = pid;
  status.alive = alive;
  status.restarts = restarts;
  return {status};
}

GatewayNumbers numbers(uint64_t requests, uint64_t errors, uint32_t healthy) {
  GatewayNumbers numbers;
  numbers.requests = requests;
  numbers.errors = errors;
  numbers.workers = 2;
  numbers.workers_healthy = healthy;
  return numbers;
}

TEST(UpStatus, ReadsTheGatewaysPage) {
  const GatewayNumbers read = read_gateway_numbers(
      "# HELP kvasir_gateway_requests_total Requests.\n"
      "kvasir_gateway_requests_in_flight 3\n"
      "kvasir_gateway_upstream_healthy{endpoint=\"a:1\"} 1\n"
      "kvasir_gateway_upstream_healthy{endpoint=\"b:1\"} 0\n"
      "kvasir_gateway_requests_total{code=\"200\",policy=\"kv\"} 10\n"
      "kvasir_gateway_requests_total{code=\"404\",policy=\"kv\"} 2\n"
      "kvasir_gateway_requests_total{code=\"499\",policy=\"kv\"} 4\n"
      "kvasir_gateway_requests_total{code=\"503\",policy=\"kv\"} 1");
  EXPECT_EQ(read.requests, 17u);
  EXPECT_EQ(read.errors, 3u);
  EXPECT_EQ(read.in_flight, 3u);
  EXPECT_EQ(read.workers, 2u);
  EXPECT_EQ(read.workers_healthy, 1u);
}

TEST(UpStatus, TheLineShowsTheRateSinceTheLastUpdate) {
  UpStatus status;
  EXPECT_THAT(status.update(at(0), one_worker(1, true, 0), numbers(10, 0, 2)), IsEmpty());
  EXPECT_THAT(status.update(at(2), one_worker(1, true, 0), numbers(35, 0, 2)), IsEmpty());
  EXPECT_EQ(status.line(), "12.5 requests/s, 0 in flight, 0 errors, workers 2/2 up, 0 restarts");
}

TEST(UpStatus, ADeathAndARestartAreTold) {
  UpStatus status;
  status.update(at(0), one_worker(7, true, 0), {});
  EXPECT_EQ(status.line(), "the gateway does not answer");
  EXPECT_THAT(status.update(at(1), one_worker(7, false, 0), {}),
              ElementsAre("worker-0 (process 7) died"));
  EXPECT_THAT(status.update(at(2), one_worker(8, true, 1), {}),
              ElementsAre("worker-0 was started again as process 8 on port 9001"));
}

TEST(UpStatus, ADeathAndARestartBetweenTwoUpdatesAreBothTold) {
  UpStatus status;
  status.update(at(0), one_worker(7, true, 0), {});
  EXPECT_THAT(status.update(at(1), one_worker(8, true, 1), {}),
              ElementsAre("worker-0 (process 7) died",
                          "worker-0 was started again as process 8 on port 9001"));
}

TEST(UpStatus, ErrorsAndWorkersInRotationAreTold) {
  UpStatus status;
  status.update(at(0), {}, numbers(10, 0, 2));
  EXPECT_THAT(status.update(at(1), {}, numbers(12, 1, 1)),
              ElementsAre("workers in rotation: 1/2", "1 new error, 1 in all"));
  EXPECT_THAT(status.update(at(2), {}, numbers(12, 1, 1)), IsEmpty());
}

TEST(UpStatus, AGatewayThatStartsAgainCountsFromZero) {
  UpStatus status;
  status.update(at(0), {}, numbers(1000, 5, 2));
  EXPECT_THAT(status.update(at(1), {}, numbers(3, 0, 2)), IsEmpty());
  EXPECT_EQ(status.line(), "3.0 requests/s, 0 in flight, 0 errors, workers 2/2 up, 0 restarts");
}

}  // namespace
}  // namespace kvasir
