// Several pools in one gateway: each that routes name schedules its own requests.
#include "gateway/gateway_fixture.h"
#include "kube/object_store.h"
#include "routes/route_feed.h"
#include "wire/kube/kube_manifest.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using Act = FakeWorker::Act;

const ObjectKey kSecond = {"default", "second"};

constexpr const char* kObjects = R"(
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: kvasir, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: first}
spec: {selector: {matchLabels: {app: a}}, targetPorts: [{number: 8000}]}
---
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: second}
spec: {selector: {matchLabels: {app: b}}, targetPorts: [{number: 8000}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: gw}]
  rules:
)";

constexpr const char* kBoth = R"(
  - matches: [{path: {value: /}, headers: [{name: x-pool, value: second}]}]
    backendRefs: [{group: inference.networking.k8s.io, kind: InferencePool, name: second}]
  - backendRefs: [{group: inference.networking.k8s.io, kind: InferencePool, name: first}]
)";
constexpr const char* kOnlyFirst = R"(
  - backendRefs: [{group: inference.networking.k8s.io, kind: InferencePool, name: first}]
)";

class GatewayPoolsTest : public GatewayTest {
 protected:
  GatewayPoolsTest() : c_(*loop_, "c"), d_(*loop_, "d") {
    options_.listener_port = 80;
    options_.routed_pool = {"default", "first"};
  }
  ~GatewayPoolsTest() override {
    client_.reset();
    gateway_.reset();
  }

  void route(const std::string& rules) {
    auto objects = read_manifest(kObjects + rules);
    ASSERT_TRUE(objects.ok()) << objects.error().message;
    ObjectStore store;
    for (const ManifestObject& object : *objects) {
      store.put(object.object->type->as, object.object);
    }
    store.end_batch();
    RouteFeed feed(
        store, [](const KubeGateway&) { return true; }, [](auto) {});
    gateway_->set_routes(feed.current());
  }

  // A second pool of these workers, once all are healthy.
  void add_second(const std::vector<const FakeWorker*>& workers) {
    PoolOptions options = options_.pool;
    options.feeds.endpoints.clear();
    for (const FakeWorker* worker : workers) {
      options.feeds.endpoints.push_back(worker_at(worker->port()));
    }
    const int healthy = second_.healthy;
    const Result<Pool*> added = gateway_->add_pool(kSecond, std::move(options), second_);
    ASSERT_TRUE(added.ok()) << added.error().message;
    run_until([&] { return second_.healthy == healthy + static_cast<int>(workers.size()); });
  }

  std::unique_ptr<Answer> begin_second() {
    return begin("{\"prompt\":\"x\",\"stream\":true}", "x-pool: second\r\n");
  }
  Answer finished(std::unique_ptr<Answer> answer) {
    run_until([&] { return answer->over; });
    return std::move(*answer);
  }
  // So many checks of its health later.
  void run_for_checks(const FakeWorker& worker, int checks) {
    const int until = worker.checks + checks;
    run_until([&] { return worker.checks >= until; });
  }

  RecordingProbe second_;
  FakeWorker c_, d_;
};

TEST_F(GatewayPoolsTest, EachPoolSchedulesItsOwnRequestsAndReportsThem) {
  start();
  add_second({&c_});
  route(kBoth);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(finished(begin_second()).body, "c");
    EXPECT_THAT(finished(begin()).body, ::testing::AnyOf("a", "b"));
  }
  EXPECT_EQ(probe_.finished.size(), 4u);
  EXPECT_EQ(second_.finished.size(), 4u);
  std::vector<std::string> names;
  gateway_->for_each_pool([&](const ObjectKey& name, Pool&) { names.push_back(to_string(name)); });
  EXPECT_THAT(names, ::testing::ElementsAre("default/second"));
}

TEST_F(GatewayPoolsTest, APoolThatNobodyAddedIsNotServed) {
  start();
  route(kBoth);
  const Answer answer = finished(begin_second());
  EXPECT_EQ(answer.head.status(), 503);
  EXPECT_THAT(answer.body, HasSubstr("InferencePool default/second is not served here"));
}

TEST_F(GatewayPoolsTest, WhatRunsInAPoolThatIsRemovedEndsAsItWould) {
  options_.threads = 3;
  start();
  add_second({&c_});
  route(kBoth);
  c_.script = {Act::kOpenStream};
  c_.pieces = {"data: one\n\n"};
  const auto running = begin_second();
  run_until([&] { return running->body == "data: one\n\n"; });
  route(kOnlyFirst);
  gateway_->remove_pool(kSecond);
  EXPECT_THAT(finished(begin_second()).body, ::testing::AnyOf("a", "b"));
  run_for_checks(c_, 10);
  EXPECT_FALSE(running->over) << "it is still answered, and its endpoint is still looked after";
  running->call->cancel();
  run_until([&] { return c_.clients_gone == 1; });
  run_for_checks(a_, 20);
  const int checks = c_.checks;
  run_for_checks(a_, 20);
  EXPECT_EQ(c_.checks, checks) << "the pool is gone";
  gateway_.reset();  // and its threads
  EXPECT_EQ(second_.finished.size(), 1u);
}

TEST_F(GatewayPoolsTest, APoolThatComesBackIsAnotherOneWhileTheFirstEnds) {
  start();
  add_second({&c_});
  route(kBoth);
  c_.script = {Act::kHang};
  const auto running = begin_second();
  run_until([&] { return c_.heads.size() == 1; });
  gateway_->remove_pool(kSecond);
  add_second({&d_});
  EXPECT_EQ(finished(begin_second()).body, "d");
  EXPECT_FALSE(running->over);
  gateway_->remove_pool(kSecond);
  EXPECT_EQ(finished(begin_second()).head.status(), 503);
  running->call->cancel();
  run_until([&] { return second_.finished.size() == 2; });
}

TEST_F(GatewayPoolsTest, NewsOfAnEndpointGoToItsPool) {
  start();
  add_second({&c_, &d_});
  route(kBoth);
  c_.script = d_.script = {Act::kHang};
  const auto running = begin_second();
  run_until([&] { return c_.heads.size() + d_.heads.size() == 1; });
  FakeWorker& hangs = c_.heads.empty() ? d_ : c_;
  FakeWorker& other = c_.heads.empty() ? c_ : d_;
  other.script.clear();
  hangs.healthy = false;
  run_until([&] { return running->over; });
  EXPECT_EQ(running->body, &hangs == &c_ ? "d" : "c");
  EXPECT_EQ(second_.last_reason, RetryReason::kUnhealthy);
  EXPECT_EQ(probe_.retries, 0);
}

TEST_F(GatewayPoolsTest, HealthAndReadinessAreOfAllPools) {
  a_.healthy = b_.healthy = false;
  start(0);
  add_second({&c_});
  run_for_checks(a_, 5);
  route(kBoth);
  const auto get = [&](const std::string& path) {
    return call("GET " + path + " HTTP/1.1\r\nHost: g\r\n\r\n");
  };
  EXPECT_EQ(get("/health").head.status(), 200);
  EXPECT_EQ(get("/health").body, "") << "one is healthy";
  EXPECT_EQ(get("/readyz").head.status(), 200);
}

TEST_F(GatewayPoolsTest, AGatewayThatStopsTakesItsPoolsWithIt) {
  options_.threads = 2;
  start();
  add_second({&c_});
  route(kBoth);
  c_.script = {Act::kHang};
  const auto running = begin_second();
  run_until([&] { return c_.heads.size() == 1; });
  gateway_->remove_pool(kSecond);
  add_second({&d_});
  gateway_.reset();
  ASSERT_EQ(second_.bad_answers.size(), 1u);
  EXPECT_THAT(second_.bad_answers[0], HasSubstr("the gateway stopped"));
}

}  // namespace
}  // namespace kvasir
