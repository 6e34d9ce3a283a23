// Requests that a rule sends on with another model than their client named.
#include "gateway/gateway_fixture.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Act = FakeWorker::Act;

class GatewayRewriteTest : public GatewayTest {
 protected:
  void start_with(const std::string& model, const std::string& target) {
    start();
    auto table = std::make_shared<ModelRewriteTable>();
    table->add("rule", model.empty() ? std::vector<std::string>{} : std::vector{model},
               {{target, {}}});
    gateway_->pool().set_rewrites(table);
  }
};

TEST_F(GatewayRewriteTest, TheWorkerReadsTheTargetAndTheClientTheModelItAskedFor) {
  a_.script = {Act::kSay};
  a_.says = R"({"id":"1","model":"tuned","choices":[{"text":"the model \"tuned\""}]})";
  start_with("base", "tuned");
  const Answer answer =
      complete(R"({"big": 12345678901234567890123, "model" : "base", "prompt":"x"})");
  EXPECT_THAT(a_.bodies,
              ElementsAre(R"({"big": 12345678901234567890123, "model" : "tuned", "prompt":"x"})"));
  EXPECT_EQ(answer.head.status(), 200);
  EXPECT_EQ(answer.body, R"({"id":"1","model":"base","choices":[{"text":"the model \"tuned\""}]})");
  EXPECT_EQ(answer.field("Content-Type"), "application/json");
  EXPECT_EQ(probe_.in_flight, 0);
}

TEST_F(GatewayRewriteTest, OtherModelsAndOtherRequestsStayAsTheyAre) {
  start_with("base", "tuned");
  const std::string body = R"({"model":"other","prompt":"x"})";
  const Answer answer = complete(body);
  EXPECT_THAT(a_.bodies, ElementsAre(body));
  EXPECT_TRUE(answer.head.content_length().has_value()) << "as it was framed";
  EXPECT_EQ(call("GET /v1/models HTTP/1.1\r\nHost: g\r\n\r\n").head.status(), 200);
  gateway_->pool().set_rewrites(nullptr);
  const std::string base = R"({"model":"base","prompt":"x"})";
  complete(base);
  EXPECT_THAT(b_.bodies, ElementsAre(base));
}

TEST_F(GatewayRewriteTest, ARuleForEveryModelNamesOneWhereTheClientDidNot) {
  start_with("", "only");
  complete(R"({"prompt":"x"})");
  EXPECT_THAT(a_.bodies, ElementsAre(R"({"model":"only","prompt":"x"})"));
}

TEST_F(GatewayRewriteTest, AStreamIsReadWithTheClientsModelWhereverItIsCut) {
  a_.script = {Act::kOpenStream};
  a_.pieces = {"data: {\"model\":\"tu", "ned\",\"choices\":[]}\n\ndata: {\"mod",
               "el\": \"tuned\"}\n\n"};
  start_with("base", "tuned");
  const auto answer = begin(R"({"model":"base","prompt":"x","stream":true})");
  const std::string expected =
      "data: {\"model\":\"base\",\"choices\":[]}\n\ndata: {\"model\": \"base\"}\n\n";
  run_until([&] { return answer->body.size() >= expected.size(); });
  EXPECT_EQ(answer->body, expected);
  answer->call->cancel();
  run_until([&] { return probe_.in_flight == 0; });
}

TEST_F(GatewayRewriteTest, AnotherAttemptIsOfTheSameTarget) {
  a_.script = {Act::kCut};
  b_.script = {Act::kSay};
  b_.says = R"({"model":"tuned"})";
  start_with("base", "tuned");
  EXPECT_EQ(complete(R"({"model":"base","prompt":"x"})").body, R"({"model":"base"})");
  const std::string sent = R"({"model":"tuned","prompt":"x"})";
  EXPECT_THAT(a_.bodies, ElementsAre(sent));
  EXPECT_THAT(b_.bodies, ElementsAre(sent));
}

TEST_F(GatewayRewriteTest, AnErrorThatIsKeptGoesBackAsItIs) {
  a_.fails_always = b_.fails_always = true;
  a_.error_status = b_.error_status = 429;
  start_with("base", "tuned");
  const Answer answer = complete(R"({"model":"base","prompt":"x"})");
  EXPECT_EQ(answer.head.status(), 429);
  EXPECT_THAT(answer.body, HasSubstr("error of "));
  EXPECT_EQ(probe_.in_flight, 0);
}

}  // namespace
}  // namespace kvasir
