#include <gtest/gtest.h>

#include "fleet/fleet.h"
#include "scheduling/policy.h"
#include "scheduling/scheduler.h"
#include "serving/routed_request.h"
#include "serving/token_estimator.h"
#include "serving/usage_watch.h"

namespace kvasir {
namespace {

struct Counts {
  int picked = 0, first_tokens = 0, ended = 0;
  size_t blocks = 0;
  uint32_t tokens = 0;
  bool visible = false;
  std::string model;
};

class CountingPolicy final : public Policy {
 public:
  explicit CountingPolicy(Counts& counts) : counts_(counts) {}
  std::optional<Decision> pick(const PickContext& context) override {
    ++counts_.picked;
    counts_.blocks = context.request.blocks.size();
    counts_.model = context.request.model;
    counts_.visible = context.request.first_token_visible;
    counts_.tokens = context.request.prompt_tokens;
    Decision decision;
    decision.endpoint = context.candidates.front();
    return decision;
  }
  void first_token(RequestId, TimePoint) override { ++counts_.first_tokens; }
  void ended(RequestId, TimePoint) override { ++counts_.ended; }
  size_t prompt_bytes_per_block() const override { return 16; }

 private:
  Counts& counts_;
};

class RoutedRequestTest : public ::testing::Test {
 protected:
  RoutedRequestTest() {
    fleet_.set_healthy(EndpointId(0), true);
    fleet_.set_healthy(EndpointId(1), true);
  }
  RequestPeek peek(bool stream) {
    RequestPeek result;
    result.kind = PromptKind::kText;
    result.prompt = prompt_;
    result.stream = stream;
    return result;
  }

  const std::string prompt_ = std::string(40, 'x');
  Counts counts_;
  ManualClock clock_;
  Fleet fleet_{{{"a", "127.0.0.1", 1}, {"b", "127.0.0.1", 2}}};
  Scheduler scheduler_{fleet_, std::make_unique<CountingPolicy>(counts_), clock_};
  TokenEstimator estimator_;
};

TEST_F(RoutedRequestTest, FailedEndpointsAreNotChosenAgain) {
  RoutedRequest request(scheduler_, estimator_, 1, peek(true));
  EXPECT_EQ(request.choose()->endpoint, EndpointId(0));
  request.exclude_chosen();
  EXPECT_EQ(request.choose()->endpoint, EndpointId(1));
  request.exclude_chosen();
  EXPECT_FALSE(request.choose());
  EXPECT_EQ(counts_.ended, 2);
}

TEST_F(RoutedRequestTest, EveryBookingIsReleasedOnce) {
  {
    RoutedRequest request(scheduler_, estimator_, 1, peek(true));
    request.choose();
    request.first_token();
    request.first_token();
    request.ended();
    request.ended();
  }
  { RoutedRequest(scheduler_, estimator_, 2, peek(true)).choose(); }
  EXPECT_EQ(counts_.first_tokens, 1);
  EXPECT_EQ(counts_.ended, 2);
}

TEST_F(RoutedRequestTest, OnlyAStreamShowsItsFirstToken) {
  for (const bool stream : {false, true}) {
    RoutedRequest request(scheduler_, estimator_, 1, peek(stream));
    request.choose();
    EXPECT_EQ(counts_.visible, stream);
  }
}

TEST_F(RoutedRequestTest, BlocksAndTokensComeFromThePrompt) {
  RoutedRequest(scheduler_, estimator_, 1, peek(true)).choose();
  EXPECT_EQ(counts_.blocks, 2u);
  EXPECT_EQ(counts_.tokens, 10u);
}

TEST_F(RoutedRequestTest, ARetryKnowsTheModelWhenThePeekIsGone) {
  auto seen = std::make_unique<RequestPeek>(peek(true));
  seen->model = "a model's name that is too long to be stored in place";
  RoutedRequest request(scheduler_, estimator_, 1, *seen);
  const std::string name = seen->model;
  seen.reset();
  request.choose();
  request.exclude_chosen();
  request.choose();
  EXPECT_EQ(counts_.model, name);
}

TEST_F(RoutedRequestTest, BodyThatWasNotUnderstoodIsRoutedAnyway) {
  RoutedRequest request(scheduler_, estimator_, 1, std::nullopt);
  EXPECT_TRUE(request.choose());
}

TEST(TokenEstimator, LearnsFromUsageAndIgnoresNonsense) {
  TokenEstimator estimator;
  EXPECT_EQ(estimator.estimate(400), 100u);
  EXPECT_EQ(estimator.estimate(0), 1u);
  for (int i = 0; i < 200; ++i) estimator.learn(1000, 500);
  EXPECT_NEAR(estimator.estimate(1000), 500, 5);
  estimator.learn(1000, 1);
  estimator.learn(10, 10);
  EXPECT_NEAR(estimator.estimate(1000), 500, 5);
}

TEST(UsageWatch, FindsTheCountOfACompleteNumber) {
  UsageWatch watch;
  watch.look("data: {\"text\":\"\\\"prompt_tokens\\\":7,\"}");
  EXPECT_FALSE(watch.prompt_tokens());
  watch.look("data: {\"usage\":{\"prompt_tokens\": 12");
  EXPECT_FALSE(watch.prompt_tokens());
  watch.look("data: {\"usage\":{\"prompt_tokens\": 123,\"total_tokens\":130,\"completion_tokens\":7}}\n\n");
  EXPECT_EQ(watch.prompt_tokens(), 123u);
  EXPECT_EQ(watch.completion_tokens(), 7u);
}

}  // namespace
}  // namespace kvasir
