#include "gateway/mirrors.h"

#include "gateway/routed_requests_fixture.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using Act = FakeWorker::Act;

class MirrorProbe final : public GatewayProbe {
 public:
  void on_health_changed(const Endpoint&, bool) override {}
  void on_retry(const Endpoint&, RetryReason, std::string_view) override {}
  void on_not_relayed(int, std::string_view) override {}
  void on_mirrored(const MirrorReport& report) override {
    told.push_back(std::to_string(report.status) + (report.is_cut ? " cut" : ""));
  }
  std::vector<std::string> told;
};

class MirrorsTest : public ::testing::Test {
 protected:
  HttpExchange* start(const std::string& body = "x") {
    return mirrors_.start(head_, mirrors_.copy_of(body), std::make_shared<RouteRule>(), {});
  }

  MirrorProbe probe_;
  Mirrors mirrors_{probe_};
  HttpHead head_;
};

TEST_F(MirrorsTest, AreOverWhenTheirAnswerIs) {
  HttpExchange* const whole = start();
  EXPECT_EQ(whole->body(), "x");
  EXPECT_EQ(whole->raw(), nullptr);
  whole->respond(200, "", "answer");
  HttpExchange* const streamed = start();
  streamed->start(201, "");
  streamed->write("piece");
  streamed->finish("");
  HttpExchange* const cut = start();
  cut->start(202, "");
  cut->abort();
  EXPECT_THAT(probe_.told, ElementsAre("200", "201", "202 cut"));
  EXPECT_EQ(mirrors_.size(), 0u);
  EXPECT_EQ(mirrors_.bytes(), 0u);
}

TEST_F(MirrorsTest, NoMoreThanALimitAreUnderWay) {
  std::vector<HttpExchange*> open;
  for (size_t i = 0; i < Mirrors::kMost; ++i) open.push_back(start());
  EXPECT_EQ(start(), nullptr);
  open.back()->respond(200, "", "");
  EXPECT_NE(start(), nullptr);
}

TEST_F(MirrorsTest, BodiesAreSharedAndLimitedTogether) {
  auto large = mirrors_.copy_of(std::string(Mirrors::kBytesMost - 1, 'x'));
  ASSERT_NE(large, nullptr);
  EXPECT_EQ(mirrors_.copy_of("ab"), nullptr);
  HttpExchange* const one = mirrors_.start(head_, large, std::make_shared<RouteRule>(), {});
  HttpExchange* const other = mirrors_.start(head_, large, std::make_shared<RouteRule>(), {});
  large = nullptr;
  one->release_body();
  EXPECT_EQ(mirrors_.bytes(), Mirrors::kBytesMost - 1);
  other->respond(200, "", "");
  EXPECT_EQ(mirrors_.bytes(), 0u) << "nobody needs it any more";
  EXPECT_EQ(one->body(), "");
}

class MirroredRequestsTest : public RoutedRequestsTest {};

TEST_F(MirroredRequestsTest, AMirrorThatHangsOrIsGoneDoesNotDelayTheClient) {
  start();
  route(R"(
  - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: other, port: 80}}}]
    backendRefs: [{name: web, port: 80}]
)",
        service("other", {&other_}));
  other_.usually = Act::kHang;
  EXPECT_EQ(get("/x").body, "web");
  EXPECT_EQ(post("/x").body, "web");
  run_until([&] { return other_.heads.size() == 2; });
  EXPECT_EQ(other_.bodies[1], R"({"prompt":"x"})");
  EXPECT_EQ(other_.heads[0].find("x-kvasir-mirror"), "default/r");
  EXPECT_EQ(other_.clients_gone, 0) << "it goes on when its client has an answer";
  other_.close();
  EXPECT_EQ(get("/x").body, "web");
}

TEST_F(MirroredRequestsTest, AShareOfTheRequestsIsMirrored) {
  start();
  route(R"(
  - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: other, port: 80}, percent: 20}}]
    backendRefs: [{name: web, port: 80}]
)",
        service("other", {&other_}));
  for (int i = 0; i < 400; ++i) get("/x");
  EXPECT_GT(other_.heads.size(), 40u);
  EXPECT_LT(other_.heads.size(), 130u);
}

TEST_F(MirroredRequestsTest, AMirrorInThePoolIsScheduledThere) {
  start();
  route(R"(
  - filters: [{type: RequestMirror, requestMirror: {backendRef: {group: inference.networking.k8s.io, kind: InferencePool, name: pool}}}]
    backendRefs: [{name: web, port: 80}]
)");
  a_.usually = b_.usually = Act::kStream;
  EXPECT_EQ(post("/v1/completions").body, "web");
  run_until([&] { return probe_.finished.size() == 1; });
  EXPECT_EQ(probe_.finished[0].status, 200);
  EXPECT_EQ(probe_.in_flight, 0);
  a_.usually = b_.usually = Act::kHang;
  EXPECT_EQ(post("/v1/completions").body, "web") << "one that is under way when the gateway stops";
  run_until([&] { return a_.heads.size() + b_.heads.size() == 2; });
}

}  // namespace
}  // namespace kvasir
