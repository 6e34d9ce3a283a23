#include <gtest/gtest.h>

#include "fleet/fleet.h"
#include "scheduling/policy.h"
#include "scheduling/scheduler.h"
#include "serving/api_requests_fixture.h"
#include "serving/routed_request.h"
#include "serving/token_estimator.h"
#include "config/request_parsers.h"
#include "wire/request/usage_watch.h"

namespace kvasir {
namespace {

struct Counts {
  int picked = 0, first_tokens = 0, ended = 0;
  size_t blocks = 0;
  std::vector<BlockHash> hashes = {};
  std::vector<BlockSize> wanted = {{PromptUnit::kBytes, 16}};
  std::vector<std::vector<BlockHash>> views = {};  // of each of them
  uint64_t bytes = 0;
  uint32_t tokens = 0;
  bool visible = false;
  std::string model;
};

class CountingPolicy final : public Policy {
 public:
  explicit CountingPolicy(Counts& counts) : counts_(counts) {}
  std::optional<Decision> pick(const PickContext& context) override {
    ++counts_.picked;
    counts_.views.clear();
    for (const BlockSize size : counts_.wanted) {
      const auto hashes = context.request.view(size).hashes;
      counts_.views.emplace_back(hashes.begin(), hashes.end());
    }
    if (!counts_.views.empty()) counts_.hashes = counts_.views[0];
    counts_.blocks = counts_.hashes.size();
    counts_.bytes = context.request.prompt_bytes;
    counts_.model = context.request.model;
    counts_.visible = context.request.first_token_visible;
    counts_.tokens = context.request.prompt_tokens;
    Decision decision;
    decision.endpoint = context.candidates.front();
    return decision;
  }
  void first_token(RequestId, TimePoint) override { ++counts_.first_tokens; }
  void ended(RequestId, TimePoint) override { ++counts_.ended; }
  BlockSizes prompt_views() const override {
    BlockSizes views;
    for (const BlockSize size : counts_.wanted) views.add(size);
    return views;
  }

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

TEST_F(RoutedRequestTest, ThePromptIsHashedOnceForEachBlockSizeThatIsWanted) {
  const std::vector<BlockSize> both = {{PromptUnit::kBytes, 16}, {PromptUnit::kBytes, 8}};
  std::vector<std::vector<BlockHash>> alone;
  for (const BlockSize size : both) {
    counts_.wanted = {size};
    scheduler_.replace_policy(std::make_unique<CountingPolicy>(counts_));
    RoutedRequest(scheduler_, estimator_, 1, peek(true)).choose();
    alone.push_back(counts_.hashes);
  }
  EXPECT_EQ(alone[0].size(), 2u);
  EXPECT_EQ(alone[1].size(), 5u);
  counts_.wanted = both;
  scheduler_.replace_policy(std::make_unique<CountingPolicy>(counts_));
  RoutedRequest(scheduler_, estimator_, 2, peek(true)).choose();
  EXPECT_EQ(counts_.views, alone);
  counts_.wanted = {};
  scheduler_.replace_policy(std::make_unique<CountingPolicy>(counts_));
  RoutedRequest none(scheduler_, estimator_, 3, peek(true));
  EXPECT_TRUE(none.request().views.empty());
}

TEST_F(RoutedRequestTest, AHeldRequestHasNoViewOfABlockSizeThatCameMeanwhile) {
  RoutedRequest held(scheduler_, estimator_, 1, peek(true));
  counts_.wanted = {{PromptUnit::kBytes, 8}};
  scheduler_.replace_policy(std::make_unique<CountingPolicy>(counts_));
  held.choose();
  EXPECT_EQ(counts_.blocks, 0u);
  RoutedRequest(scheduler_, estimator_, 2, peek(true)).choose();
  EXPECT_EQ(counts_.blocks, 5u);
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

class ApiRequestTest : public RoutedRequestTest {
 protected:
  // What the policy sees of a body that is sent there.
  const Counts& seen(std::string_view path, const std::string& body) {
    const std::optional<RequestRoute> route = RequestParsers().find(path);
    const std::optional<RequestPeek> peek = peek_request(body, route->api);
    EXPECT_TRUE(peek) << body.substr(0, 100);
    RoutedRequest(scheduler_, estimator_, ++id_, peek).choose();
    return counts_;
  }
  static size_t in_common(const std::vector<BlockHash>& a, const std::vector<BlockHash>& b) {
    size_t count = 0;
    while (count < a.size() && count < b.size() && a[count] == b[count]) ++count;
    return count;
  }

  RequestId id_ = 100;
};

TEST_F(ApiRequestTest, WhatIsLongCountsWhereverAnApiHasIt) {
  constexpr size_t kHeadBlocks = 20'000 / 16;
  for (const bool ids : {false, true}) {
    const auto head = [ids](int seed) { return ids ? long_ids(seed) : long_words(seed); };
    for (const ApiRequest& request : ids ? api_id_requests() : api_requests()) {
      const Counts first = seen(request.path, body_with(request, head(10'000), "1"));
      const Counts same = seen(request.path, body_with(request, head(10'000), "222222222222222"));
      const Counts other = seen(request.path, body_with(request, head(70'000), "1"));
      EXPECT_GE(first.bytes, 20'000u) << request.name;
      EXPECT_GE(first.tokens, ids ? 3000u : 5000u) << request.name;
      EXPECT_GE(in_common(first.hashes, same.hashes), kHeadBlocks) << request.name;
      EXPECT_LE(in_common(first.hashes, other.hashes), 10u) << request.name;
    }
  }
}

TEST_F(ApiRequestTest, TheCacheSaltAndTheModelKeepEqualPromptsApart) {
  const std::string prompt = "\"prompt\":\"" + long_words(1) + "\"";
  const auto plain = seen("/v1/completions", "{\"model\":\"m\"," + prompt + "}").hashes;
  EXPECT_EQ(seen("/v1/completions", "{" + prompt + ",\"model\":\"m\"}").hashes, plain);
  for (const char* fields : {"\"model\":\"n\"", "\"model\":\"m\",\"cache_salt\":\"s\""}) {
    EXPECT_EQ(in_common(seen("/v1/completions", "{" + prompt + "," + fields + "}").hashes, plain), 0u);
  }
}

// The length that usage is learnt for is that of the whole prompt.
TEST_F(ApiRequestTest, TheEstimateIsLearntFromToolsAndSystemToo) {
  const std::string body =
      R"({"messages":[{"role":"user","content":"hi"}],"system":")" + long_words(3) + "\"}";
  const std::optional<RequestPeek> peek = peek_request(body, RequestApi::kAnthropicMessages);
  for (int i = 0; i < 200; ++i) {
    RoutedRequest request(scheduler_, estimator_, ++id_, peek);
    request.choose();
    request.learn_prompt_tokens(10'000);
  }
  RoutedRequest request(scheduler_, estimator_, ++id_, peek);
  EXPECT_NEAR(request.prompt_tokens(), 10'000, 100);
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
