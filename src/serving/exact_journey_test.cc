// Requests at a Pool that knows what engines hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "base/virtual_executor_fixture.h"
#include "serving/exact_caches_fixture.h"
#include "serving/journey_fixture.h"
#include "serving/pool_thread.h"
#include "serving/token_source.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kBlock = 16;

std::vector<uint32_t> tokens_from(uint32_t first, size_t count) {
  std::vector<uint32_t> tokens(count);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

struct DecisionProbe final : PoolProbe {
  void on_health_changed(const Endpoint&, bool) override {}
  void on_picked(const PickReport& report) override {
    decision = report.decision;
    prompt_tokens = report.prompt_tokens;
  }
  void on_tokens(const Tokens& tokens) override {
    if (tokens.ids != nullptr) return static_cast<void>(++tokens_known);
    tokens_unknown.push_back(tokens.why);
  }
  void on_cache_reset(const Endpoint& endpoint) override { resets.push_back(endpoint.name); }
  void on_ended(const EndReport& report) override {
    ended = report;
    ended.labels = {};
  }

  Decision decision;
  std::vector<std::string> resets;
  int tokens_known = 0;
  std::vector<TokensUnknown> tokens_unknown;
  EndReport ended;
  uint32_t prompt_tokens = 0;
};

class ExactJourneyTest : public ::testing::Test {
 protected:
  ExactJourneyTest() {
    options_.policy = "kv";
    options_.plugins.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
    options_.exact_caches = &caches_;
    options_.feeds.endpoints = {{"a", "10.0.0.1", 8000, {}}, {"b", "10.0.0.2", 8000, {}}};
  }
  void open() {
    pool_ = std::move(Pool::open(executor_, options_, probe_).value());
    pool_->fleet().replace_all(options_.feeds.endpoints);
    for (uint32_t i = 0; i < 2; ++i) pool_->fleet().set_healthy(EndpointId(i), true);
    thread_.emplace(*pool_, executor_, 0);
  }
  void configure(const std::string& plugins) {
    options_.policy.clear();
    options_.config_name = "test";
    options_.config =
        "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n" + plugins;
  }
  std::unique_ptr<JourneyClient> come(const std::vector<uint32_t>& tokens) {
    auto client = std::make_unique<JourneyClient>(*thread_);
    client->start(tokens);
    return client;
  }
  void pass(Duration time = {}) { executor_.run_until(executor_.now() + time); }

  VirtualExecutor executor_;
  FakeExactCaches caches_;
  DecisionProbe probe_;
  PoolOptions options_;
  std::unique_ptr<Pool> pool_;
  std::optional<PoolThread> thread_;
};

TEST_F(ExactJourneyTest, GoesWhereTheEngineSaysThatItHoldsThePrompt) {
  open();
  const std::vector<uint32_t> prompt = tokens_from(0, 4000);
  for (const EndpointId holder : {EndpointId(1), EndpointId(0)}) {
    for (uint32_t i = 0; i < 2; ++i) {
      caches_.forget(EndpointId(i));
      caches_.know(EndpointId(i), kBlock);
    }
    caches_.hold(holder, tokens_from(0, 1000));
    const auto client = come(prompt);
    ASSERT_EQ(client->decided, 1);
    EXPECT_EQ(probe_.decision.endpoint, holder);
    EXPECT_EQ(probe_.decision.cached_tokens, 992u);
    EXPECT_TRUE(probe_.decision.cached_exactly);
    EXPECT_EQ(probe_.prompt_tokens, 4000u);
  }
}

TEST_F(ExactJourneyTest, AnEndpointOfWhichNothingIsKnownIsGuessed) {
  open();
  caches_.know(EndpointId(0), kBlock);
  const std::vector<uint32_t> prompt = tokens_from(0, 16 * 512);
  come(prompt);  // somewhere, and both are idle again
  come(tokens_from(100'000, 16 * 512));
  const auto to_each = [&](const std::vector<uint32_t>& tokens) {
    const auto client = come(tokens);
    return client->journey.decision();
  };
  const Decision first = to_each(prompt), second = to_each(tokens_from(100'000, 16 * 512));
  EXPECT_NE(first.cached_exactly, second.cached_exactly) << "one of them went to b";
  const Decision& guessed = first.cached_exactly ? second : first;
  EXPECT_EQ(guessed.endpoint, EndpointId(1));
  EXPECT_EQ(guessed.cached_tokens, 16 * 512u);
  const Decision& exact = first.cached_exactly ? first : second;
  EXPECT_EQ(exact.cached_tokens, 0u) << "what a was sent before does not count: its engine says no";
}

TEST_F(ExactJourneyTest, WithoutAnnouncedBlocksNobodyIsAsked) {
  open();
  const auto client = come(tokens_from(0, 100));
  EXPECT_EQ(client->decided, 1);
  EXPECT_EQ(caches_.matches, 0u);
  EXPECT_THAT(caches_.expected, IsEmpty());
  EXPECT_TRUE(client->journey.request().chains.empty());
  EXPECT_EQ(probe_.prompt_tokens, 100u) << "its length is exact all the same";
}

TEST_F(ExactJourneyTest, BlockSizesThatComeLaterAreUsed) {
  open();
  caches_.know(EndpointId(0), kBlock);
  EXPECT_EQ(come(tokens_from(0, 100))->journey.request().chains.size(), 1u);
  caches_.know(EndpointId(1), 4 * kBlock);
  caches_.hold(EndpointId(1), tokens_from(0, 100));
  const auto client = come(tokens_from(0, 100));
  EXPECT_EQ(client->journey.request().chains.size(), 2u);
  EXPECT_EQ(probe_.decision.endpoint, EndpointId(1));
  EXPECT_EQ(probe_.decision.cached_tokens, 64u);
}

TEST_F(ExactJourneyTest, AHeldRequestMatchesAgainWhenItIsPicked) {
  options_.preset.hold = true;
  open();
  for (uint32_t i = 0; i < 2; ++i) caches_.know(EndpointId(i), kBlock);
  std::vector<std::unique_ptr<JourneyClient>> running;
  do {
    running.push_back(come(tokens_from(1'000'000 * static_cast<uint32_t>(running.size()), 30'000)));
  } while (running.back()->decided == 1 && running.size() < 100);
  const auto held = std::move(running.back());  // every endpoint has enough to do
  running.pop_back();
  ASSERT_EQ(held->decided, 0);
  caches_.hold(EndpointId(1),
               tokens_from(1'000'000 * static_cast<uint32_t>(running.size()), 30'000));
  for (const auto& client : running) {
    client->journey.answer_begins(200);
    client->journey.first_byte();
    client->journey.end(Ending::kNatural);
  }
  pass(seconds(60));
  ASSERT_EQ(held->decided, 1);
  EXPECT_EQ(held->journey.decision().endpoint, EndpointId(1));
  EXPECT_EQ(held->journey.decision().cached_tokens, 30'000u - kBlock);
}

TEST_F(ExactJourneyTest, APromptCountsAsHeldWhereItWasSent) {
  open();
  pass(seconds(10));
  for (uint32_t i = 0; i < 2; ++i) caches_.know(EndpointId(i), kBlock);
  const auto client = come(tokens_from(0, 100));
  ASSERT_EQ(caches_.expected.size(), 1u);
  EXPECT_EQ(caches_.expected[0].endpoint, probe_.decision.endpoint);
  EXPECT_EQ(caches_.expected[0].blocks, 6u);
  const Duration lifetime = caches_.expected[0].until - executor_.now();
  EXPECT_EQ(lifetime, seconds(2) + probe_.decision.predicted_prefill);
  ASSERT_TRUE(client->journey.retry());
  ASSERT_EQ(caches_.expected.size(), 2u);
  EXPECT_NE(caches_.expected[0].endpoint, caches_.expected[1].endpoint);
}

TEST_F(ExactJourneyTest, TheConfigurationSaysForHowLong) {
  constexpr const char* kPrecise = "- {type: precise-prefix-cache-producer}\n";
  constexpr const char* kSpeculative =
      "- type: precise-prefix-cache-producer\n"
      "  parameters: {speculativeIndexing: true, speculativeTTL: 7s}\n";
  configure(kPrecise);
  open();
  caches_.know(EndpointId(0), kBlock);
  come(tokens_from(0, 100));
  EXPECT_THAT(caches_.expected, IsEmpty());
  const std::string head = "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n";
  ASSERT_TRUE(pool_->reconfigure(head + kSpeculative));
  come(tokens_from(0, 100));
  ASSERT_EQ(caches_.expected.size(), 1u);
  EXPECT_EQ(caches_.expected[0].until - executor_.now(), seconds(7));
}

TEST_F(ExactJourneyTest, AnAdapterHasBlocksOfItsOwn) {
  open();
  for (uint32_t i = 0; i < 2; ++i) caches_.know(EndpointId(i), kBlock);
  const std::vector<uint32_t> prompt = tokens_from(0, 1000);
  caches_.hold(EndpointId(1), prompt, std::nullopt, "adapter");
  for (const char* model : {"base", "adapter"}) {
    JourneyClient client(*thread_);
    RequestPeek peek;
    peek.model = model;
    Journey::More more;
    more.tokens = std::make_shared<const std::vector<uint32_t>>(prompt);
    client.journey.start(peek, std::move(more));
    EXPECT_EQ(probe_.decision.cached_tokens, peek.model == "adapter" ? 992u : 0u);
  }
}

TEST_F(ExactJourneyTest, TokenIdsAreReadFromTheBody) {
  open();
  for (uint32_t i = 0; i < 2; ++i) caches_.know(EndpointId(i), kBlock);
  caches_.hold(EndpointId(1), tokens_from(1, 32));
  std::string body = R"({"model":"m","prompt":[)";
  for (uint32_t i = 1; i <= 40; ++i) body += (i > 1 ? "," : "") + std::to_string(i);
  body += "]}";
  const auto peek = peek_request(body, RequestApi::kCompletions);
  ASSERT_TRUE(peek);
  JourneyClient client(*thread_);
  Journey::More more;
  more.body = body;
  client.journey.start(peek, std::move(more));
  EXPECT_EQ(client.decided, 1);
  EXPECT_EQ(probe_.decision.endpoint, EndpointId(1));
  EXPECT_EQ(probe_.decision.cached_tokens, 32u);
  EXPECT_EQ(probe_.tokens_known, 1);
}

TEST_F(ExactJourneyTest, WithoutTokensTheGuessCountsAndItIsTold) {
  open();
  caches_.know(EndpointId(0), kBlock);
  const std::string body = R"({"model":"m","prompt":"a text that nobody here can tokenize"})";
  const auto peek = peek_request(body, RequestApi::kCompletions);
  ASSERT_TRUE(peek);
  JourneyClient client(*thread_);
  Journey::More more;
  more.body = body;
  client.journey.start(peek, std::move(more));
  EXPECT_EQ(client.decided, 1);
  EXPECT_FALSE(probe_.decision.cached_exactly);
  EXPECT_EQ(probe_.tokens_known, 0);
  EXPECT_THAT(probe_.tokens_unknown, ElementsAre(TokensUnknown::kNoSource));
}

TEST_F(ExactJourneyTest, WhatWasPredictedIsReportedBesideWhatTheEngineFound) {
  open();
  for (uint32_t i = 0; i < 2; ++i) caches_.know(EndpointId(i), kBlock);
  caches_.hold(EndpointId(0), tokens_from(0, 64));
  const auto client = come(tokens_from(0, 100));
  client->journey.answer_begins(200);
  client->journey.look(
      R"({"usage":{"prompt_tokens":100,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":48}}})");
  client->journey.end(Ending::kNatural);
  EXPECT_EQ(probe_.ended.predicted_cached_tokens, 64u);
  EXPECT_EQ(probe_.ended.cached_tokens, 48u);
  caches_.forget(EndpointId(0));
  caches_.forget(EndpointId(1));
  const auto guessed = come(tokens_from(0, 100));
  guessed->journey.end(Ending::kNatural);
  EXPECT_EQ(probe_.ended.predicted_cached_tokens, std::nullopt);
}

TEST_F(ExactJourneyTest, WhatIsPredictedOfOneIsNotComparedWithWhatAnotherFound) {
  options_.feeds.endpoints = {{"p", "10.0.0.1", 8000, {{"llm-d.ai/role", "prefill"}}},
                              {"d", "10.0.0.2", 8000, {{"llm-d.ai/role", "decode"}}}};
  const std::string plugins =
      "- type: disagg-profile-handler\n"
      "  parameters: {deciders: {prefill: always-disagg-pd-decider}}\n"
      "- {type: always-disagg-pd-decider}\n- {type: decode-filter}\n- {type: prefill-filter}\n"
      "- {type: precise-prefix-cache-producer}\n";
  const std::string profiles =
      "schedulingProfiles:\n- {name: decode, plugins: [{pluginRef: decode-filter}]}\n"
      "- {name: prefill, plugins: [{pluginRef: prefill-filter}]}\n";
  for (uint32_t i = 0; i < 2; ++i) {
    caches_.know(EndpointId(i), kBlock);
    caches_.hold(EndpointId(i), tokens_from(0, 64));
  }
  const struct {
    bool prefilled, elsewhere;
    std::optional<uint32_t> predicted;
  } cases[] = {{false, false, 64}, {false, true, {}}, {true, false, {}}};
  for (const auto& one : cases) {
    configure(one.prefilled ? plugins + profiles
                            : "- {type: decode-filter}\n- {type: precise-prefix-cache-producer}\n");
    thread_.reset();
    open();
    const auto client = come(tokens_from(0, 100));
    ASSERT_EQ(client->decided, 1);
    EXPECT_TRUE(probe_.decision.cached_exactly);
    EXPECT_EQ(probe_.decision.prefill.has_value(), one.prefilled);
    client->journey.answer_begins(200);
    if (one.elsewhere) client->journey.note_served_elsewhere();
    client->journey.end(Ending::kNatural);
    EXPECT_EQ(probe_.ended.predicted_cached_tokens, one.predicted);
  }
}

TEST_F(ExactJourneyTest, AResetIsTrueWhenItsAnswerSaysSo) {
  open();
  const auto answered = [&](bool resets, int status) {
    probe_.resets.clear();
    JourneyClient client(*thread_);
    Journey::More more;
    more.resets_cache = resets;
    EXPECT_TRUE(client.journey.start_anywhere(std::move(more)));
    client.journey.answer_begins(status);
    client.journey.end(Ending::kNatural);
    return probe_.resets.size() == 1 && probe_.resets[0] == client.journey.endpoint()->name;
  };
  EXPECT_TRUE(answered(true, 200));
  EXPECT_TRUE(answered(true, 204));
  EXPECT_FALSE(answered(true, 404));
  EXPECT_FALSE(answered(true, 500));
  EXPECT_FALSE(answered(false, 200));
}

TEST_F(ExactJourneyTest, WhatOnlyARetryNeedsIsGivenBack) {
  open();
  caches_.know(EndpointId(0), kBlock);
  const auto client = come(tokens_from(0, 100));
  client->journey.release_prompt();
  EXPECT_TRUE(client->journey.request().chains.empty());
  EXPECT_TRUE(client->journey.request().cached.empty());
}

}  // namespace
}  // namespace kvasir
