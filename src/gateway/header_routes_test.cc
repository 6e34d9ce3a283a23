// Requests that a header sends past the pool.
#include "gateway/gateway_fixture.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre, ::testing::HasSubstr, ::testing::IsEmpty;
using Act = FakeWorker::Act;

class HeaderRoutesTest : public GatewayTest {
 protected:
  HeaderRoutesTest() : nvlink_(*loop_, "nvlink"), fs_(*loop_, "fs") {
    options_.header_routes = {{"x-kv-backend", "nvlink", {"127.0.0.1", nvlink_.port()}},
                              {"x-kv-backend", "fs", {"localhost", fs_.port()}}};
  }
  Answer post(const std::string& fields, const std::string& path = "/v1/completions") {
    const std::string body = R"({"prompt":"x"})";
    return call("POST " + path + " HTTP/1.1\r\nHost: g\r\nx-request-id: id-7\r\n" + fields +
                    "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n",
                body);
  }

  FakeWorker nvlink_, fs_;
};

TEST_F(HeaderRoutesTest, TheHeadersValueSaysWhereToAndAnythingElseGoesToThePool) {
  start();
  const Answer nvlink = post("X-KV-Backend: nvlink\r\n");
  EXPECT_EQ(nvlink.body, "nvlink");
  EXPECT_EQ(nvlink.field("x-kvasir-route"), "x-kv-backend=nvlink");
  EXPECT_EQ(nvlink.field("x-request-id"), "id-7");
  EXPECT_EQ(nvlink_.heads[0].find("x-kv-backend"), "nvlink") << "it is passed on";
  EXPECT_EQ(nvlink_.request_ids[0], "id-7");
  EXPECT_THAT(nvlink_.bodies, ElementsAre(R"({"prompt":"x"})"));
  EXPECT_EQ(post("x-kv-backend: fs\r\n").body, "fs") << "its name is looked up";
  EXPECT_EQ(post("").body, "a");
  EXPECT_EQ(post("x-kv-backend: other\r\n").body, "b");
  EXPECT_EQ(post("x-kv-backend: NVLINK\r\n").body, "a") << "values are told apart by case";
  EXPECT_EQ(post("").field("x-kvasir-route"), "");
  EXPECT_THAT(probe_.routes, ElementsAre("x-kv-backend=nvlink", "x-kv-backend=fs", "", "", "", ""));
  EXPECT_THAT(probe_.route_answers, ElementsAre("x-kv-backend=nvlink 200", "x-kv-backend=fs 200"));
  EXPECT_EQ(probe_.finished.size(), 4u) << "the pool hears of its own only";
}

TEST_F(HeaderRoutesTest, OnlyPostsGoThere) {
  start();
  const Answer models = call("GET /v1/models HTTP/1.1\r\nHost: g\r\nx-kv-backend: nvlink\r\n\r\n");
  EXPECT_EQ(models.body, "a");
  EXPECT_THAT(nvlink_.bodies, IsEmpty());
}

TEST_F(HeaderRoutesTest, StreamsAndErrorsPassAsTheyAre) {
  start();
  nvlink_.script = {Act::kStream, Act::kError};
  nvlink_.error_status = 503;
  EXPECT_EQ(post("x-kv-backend: nvlink\r\n").body, "data: nvlink\n\ndata: [DONE]\n\n");
  const Answer error = post("x-kv-backend: nvlink\r\n");
  EXPECT_EQ(error.head.status(), 503);
  EXPECT_EQ(error.body, "error of nvlink");
  ASSERT_EQ(probe_.bad_answers.size(), 1u);
  EXPECT_THAT(probe_.bad_answers[0], HasSubstr("503 id-7 127.0.0.1:"));
}

TEST_F(HeaderRoutesTest, NobodyElseAnswersForARouteThatFails) {
  start();
  nvlink_.script = {Act::kCut, Act::kCutMidStream};
  const Answer cut = post("x-kv-backend: nvlink\r\n");
  EXPECT_EQ(cut.head.status(), 502);
  EXPECT_THAT(cut.body, HasSubstr("\"BadGatewayError\""));
  EXPECT_EQ(cut.field("x-kvasir-route"), "x-kv-backend=nvlink");
  EXPECT_TRUE(post("x-kv-backend: nvlink\r\n").failure);
  nvlink_.close();
  const Answer refused = post("x-kv-backend: nvlink\r\n");
  EXPECT_EQ(refused.head.status(), 503);
  EXPECT_THAT(refused.body, HasSubstr("\"ServiceUnavailableError\""));
  EXPECT_THAT(refused.body, HasSubstr("the route's worker: 127.0.0.1:"));
  EXPECT_EQ(refused.field("content-type"), "application/json");
  EXPECT_THAT(a_.bodies, IsEmpty());
  EXPECT_EQ(probe_.bad_answers.size(), 3u);
  EXPECT_EQ(post("x-kv-backend: fs\r\n").body, "fs") << "the other one is as well as before";
}

TEST_F(HeaderRoutesTest, AClientThatLeavesEndsItThere) {
  start();
  nvlink_.script = {Act::kHang};
  const auto answer = begin(R"({"prompt":"x"})", "x-kv-backend: nvlink\r\n");
  run_until([&] { return nvlink_.bodies.size() == 1; });
  answer->call->cancel();
  run_until([&] { return nvlink_.clients_gone == 1; });
  EXPECT_THAT(probe_.route_answers, ElementsAre("x-kv-backend=nvlink 499"));
  EXPECT_THAT(probe_.bad_answers, IsEmpty());
}

TEST_F(HeaderRoutesTest, AGatewayMayStopWhileOneIsUnderWay) {
  start();
  nvlink_.script = {Act::kHang};
  const auto answer = begin(R"({"prompt":"x"})", "x-kv-backend: nvlink\r\n");
  run_until([&] { return nvlink_.bodies.size() == 1; });
  gateway_.reset();
  run_until([&] { return answer->over; });
  EXPECT_TRUE(answer->failure);
}

}  // namespace
}  // namespace kvasir
