#include "serving/measured_request.h"

#include <gtest/gtest.h>

#include "config/request_parsers.h"
#include "fleet/fleet.h"
#include "scheduling/policy.h"
#include "scheduling/scheduler.h"
#include "serving/api_requests_fixture.h"
#include "serving/token_estimator.h"
#include "wire/request/usage_watch.h"

namespace kvasir {
namespace {

constexpr BlockSize kSmall = {PromptUnit::kBytes, 8};
constexpr BlockSize kUsual = {PromptUnit::kBytes, 16};

class HashingPolicy final : public Policy {
 public:
  explicit HashingPolicy(std::vector<BlockSize> wanted) : wanted_(std::move(wanted)) {}
  std::optional<Decision> pick(const PickContext& context) override {
    Decision decision;
    decision.endpoint = context.candidates.front();
    return decision;
  }
  void first_token(RequestId, TimePoint) override {}
  void ended(RequestId, TimePoint) override {}
  BlockSizes prompt_views() const override {
    BlockSizes views;
    for (const BlockSize size : wanted_) views.add(size);
    return views;
  }

 private:
  const std::vector<BlockSize> wanted_;
};

class MeasuredRequestTest : public ::testing::Test {
 protected:
  RequestPeek peek() {
    RequestPeek result;
    result.kind = PromptKind::kText;
    result.prompt = prompt_;
    return result;
  }
  void read(MeasuredRequest& request, const std::optional<RequestPeek>& peek) {
    request.read(scheduler_, estimator_, 1, peek, {});
  }

  const std::string prompt_ = std::string(40, 'x');
  ManualClock clock_;
  Fleet fleet_{{{"a", "127.0.0.1", 1}}};
  Scheduler scheduler_{fleet_, std::make_unique<HashingPolicy>(std::vector{kUsual}), clock_};
  TokenEstimator estimator_;
};

TEST_F(MeasuredRequestTest, OnlyAStreamShowsItsFirstToken) {
  for (const bool stream : {false, true}) {
    RequestPeek asked = peek();
    asked.stream = stream;
    MeasuredRequest request;
    read(request, asked);
    EXPECT_EQ(request.request().first_token_visible, stream);
  }
}

TEST_F(MeasuredRequestTest, BlocksAndTokensComeFromThePrompt) {
  MeasuredRequest request;
  read(request, peek());
  EXPECT_EQ(request.request().view(kUsual).hashes.size(), 2u);
  EXPECT_EQ(request.request().prompt_tokens, 10u);
  EXPECT_TRUE(request.length_is_estimated());
}

TEST_F(MeasuredRequestTest, ThePromptIsHashedOnceForEachBlockSizeThatIsWanted) {
  const auto hashes = [this](std::vector<BlockSize> wanted, BlockSize size) {
    scheduler_.replace_policy(std::make_unique<HashingPolicy>(std::move(wanted)));
    MeasuredRequest request;
    read(request, peek());
    const auto found = request.request().view(size).hashes;
    return std::vector<BlockHash>(found.begin(), found.end());
  };
  EXPECT_EQ(hashes({kUsual}, kUsual).size(), 2u);
  EXPECT_EQ(hashes({kSmall}, kSmall).size(), 5u);
  for (const BlockSize size : {kUsual, kSmall}) {
    EXPECT_EQ(hashes({kUsual, kSmall}, size), hashes({size}, size));
    EXPECT_TRUE(hashes({}, size).empty());
  }
}

TEST_F(MeasuredRequestTest, ItHasNoViewOfABlockSizeThatCameMeanwhile) {
  MeasuredRequest request;
  read(request, peek());
  scheduler_.replace_policy(std::make_unique<HashingPolicy>(std::vector{kSmall}));
  EXPECT_TRUE(request.request().view(kSmall).hashes.empty());
}

TEST_F(MeasuredRequestTest, ItKnowsTheModelWhenThePeekIsGone) {
  auto seen = std::make_unique<RequestPeek>(peek());
  seen->model = "a model's name that is too long to be stored in place";
  const std::string name = seen->model;
  MeasuredRequest request;
  read(request, *seen);
  seen.reset();
  EXPECT_EQ(request.request().model, name);
}

TEST_F(MeasuredRequestTest, ABodyThatWasNotUnderstoodHasAnIdAllTheSame) {
  MeasuredRequest request;
  read(request, std::nullopt);
  EXPECT_EQ(request.request().id, 1u);
  EXPECT_FALSE(request.length_is_estimated());
}

class ApiRequestTest : public MeasuredRequestTest {
 protected:
  struct Seen {
    std::vector<BlockHash> hashes;
    uint64_t bytes = 0;
    uint32_t tokens = 0;
  };
  // What the policy sees of a body that is sent there.
  Seen seen(std::string_view path, const std::string& body) {
    const std::optional<RequestRoute> route = RequestParsers().find(path);
    const std::optional<RequestPeek> peek = peek_request(body, route->api);
    EXPECT_TRUE(peek) << body.substr(0, 100);
    MeasuredRequest measured;
    read(measured, peek);
    const Request& request = measured.request();
    const auto hashes = request.view(kUsual).hashes;
    return {{hashes.begin(), hashes.end()}, request.prompt_bytes, request.prompt_tokens};
  }
  static size_t in_common(const std::vector<BlockHash>& a, const std::vector<BlockHash>& b) {
    size_t count = 0;
    while (count < a.size() && count < b.size() && a[count] == b[count]) ++count;
    return count;
  }
};

TEST_F(ApiRequestTest, WhatIsLongCountsWhereverAnApiHasIt) {
  constexpr size_t kHeadBlocks = 20'000 / 16;
  for (const bool ids : {false, true}) {
    const auto head = [ids](int seed) { return ids ? long_ids(seed) : long_words(seed); };
    for (const ApiRequest& request : ids ? api_id_requests() : api_requests()) {
      const Seen first = seen(request.path, body_with(request, head(10'000), "1"));
      const Seen same = seen(request.path, body_with(request, head(10'000), "222222222222222"));
      const Seen other = seen(request.path, body_with(request, head(70'000), "1"));
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
    EXPECT_EQ(in_common(seen("/v1/completions", "{" + prompt + "," + fields + "}").hashes, plain),
              0u);
  }
}

// The length that usage is learnt for is that of the whole prompt.
TEST_F(ApiRequestTest, TheEstimateIsLearntFromToolsAndSystemToo) {
  const std::string body =
      R"({"messages":[{"role":"user","content":"hi"}],"system":")" + long_words(3) + "\"}";
  const std::optional<RequestPeek> peek = peek_request(body, RequestApi::kAnthropicMessages);
  for (int i = 0; i < 200; ++i) {
    MeasuredRequest request;
    read(request, peek);
    estimator_.learn(request.request().prompt_bytes, 10'000);
  }
  MeasuredRequest request;
  read(request, peek);
  EXPECT_NEAR(request.request().prompt_tokens, 10'000, 100);
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
  watch.look(
      "data: {\"usage\":{\"prompt_tokens\": "
      "123,\"total_tokens\":130,\"completion_tokens\":7}}\n\n");
  EXPECT_EQ(watch.prompt_tokens(), 123u);
  EXPECT_EQ(watch.completion_tokens(), 7u);
}

}  // namespace
}  // namespace kvasir
