#include "apps/metrics_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/virtual_executor_fixture.h"

namespace kvasir {
namespace {

using Json = nlohmann::json;
using ::testing::ElementsAre;

// Knows the tokens "reader" and "stranger", and lets the first read.
class ReviewingApi final : public KubeApi {
 public:
  explicit ReviewingApi(Executor& executor) : executor_(executor) {}

  std::unique_ptr<KubeCall> start(KubeRequest request,
                                  std::function<void(KubeAnswer)> done) override {
    requests.push_back(request.target);
    KubeAnswer answer;
    answer.http_status = away ? 0 : 201;
    if (!away) answer.body = reviewed(Json::parse(request.body)).dump();
    executor_.post([done, answer] { done(answer); });
    return std::make_unique<KubeCall>();
  }
  std::unique_ptr<KubeCall> watch(std::string, KubeWatchObserver&) override { return nullptr; }

  std::vector<std::string> requests;
  bool away = false;

 private:
  Json reviewed(Json review) {
    const Json spec = review["spec"];
    if (review["kind"] == "TokenReview") {
      const std::string token = spec["token"];
      review["status"]["authenticated"] = token != "forged";
      if (token != "forged") {
        review["status"]["user"] = {{"username", "system:serviceaccount:m:" + token},
                                    {"groups", {"system:authenticated"}}};
      }
    } else {
      EXPECT_EQ(spec["nonResourceAttributes"], (Json{{"path", "/metrics"}, {"verb", "get"}}));
      EXPECT_EQ(spec["groups"], Json({"system:authenticated"}));
      review["status"]["allowed"] = spec["user"] == "system:serviceaccount:m:reader";
    }
    return review;
  }

  Executor& executor_;
};

class MetricsAccessTest : public ::testing::Test {
 protected:
  int ask(const std::string& authorization) {
    int said = 0;
    access_.ask(authorization, [&said](int status) { said = status; });
    executor_.run_until_idle(100);
    return said;
  }

  VirtualExecutor executor_;
  ReviewingApi api_{executor_};
  MetricsAccess access_{executor_, api_, {.kept_max = 2, .asking_max = 2}};
};

TEST_F(MetricsAccessTest, TheServerSaysWhoMayRead) {
  EXPECT_EQ(ask("Bearer reader"), 200);
  EXPECT_EQ(ask("bearer stranger"), 403);
  EXPECT_EQ(ask("Bearer forged"), 401);
  EXPECT_EQ(ask(""), 401);
  EXPECT_EQ(ask("Basic cmVhZGVy"), 401);
  EXPECT_EQ(ask("Bearer "), 401);
}

TEST_F(MetricsAccessTest, WhatItSaidCountsForAMinute) {
  ask("Bearer reader");
  EXPECT_THAT(api_.requests, ElementsAre("/apis/authentication.k8s.io/v1/tokenreviews",
                                         "/apis/authorization.k8s.io/v1/subjectaccessreviews"));
  EXPECT_EQ(ask("Bearer reader"), 200);
  EXPECT_EQ(api_.requests.size(), 2u);
  executor_.run_until(executor_.now() + std::chrono::minutes(1));
  EXPECT_EQ(ask("Bearer reader"), 200);
  EXPECT_EQ(api_.requests.size(), 4u);
}

TEST_F(MetricsAccessTest, AServerThatCannotBeAskedLetsNobodyInAndIsAskedAgain) {
  api_.away = true;
  EXPECT_EQ(ask("Bearer reader"), 503);
  api_.away = false;
  EXPECT_EQ(ask("Bearer reader"), 200);
}

TEST_F(MetricsAccessTest, WhatIsKeptAndAskedAtOnceIsLimited) {
  for (const char* token : {"Bearer reader", "Bearer a", "Bearer b"}) {
    ask(token);
    executor_.run_until(executor_.now() + std::chrono::seconds(1));
  }
  const size_t asked = api_.requests.size();
  ask("Bearer reader");
  EXPECT_GT(api_.requests.size(), asked) << "it was forgotten";
  std::vector<int> said;
  for (const char* token : {"Bearer c", "Bearer d", "Bearer e"}) {
    access_.ask(token, [&said](int status) { said.push_back(status); });
  }
  EXPECT_THAT(said, ElementsAre(503));
  executor_.run_until_idle(100);
  EXPECT_THAT(said, ElementsAre(503, 403, 403));
}

}  // namespace
}  // namespace kvasir
