// What answers say of their endpoints, and what their clients are told.
#include "epp/exchange_fixture.h"
#include "serving/exact_caches_fixture.h"

namespace kvasir {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

TEST_F(ExchangeTest, AnAnswersEndReleasesItsEndpoint) {
  {
    FakeStream stream(epp());
    stream.headers({});
    stream.body(kBody);
    stream.headers({{":status", "200"}}, false, {}, ExtProcSide::kResponse);
    stream.body("{}", true, {}, ExtProcSide::kResponse);
    EXPECT_THAT(probe_.endings, ElementsAre(Ending::kNatural));
  }
  EXPECT_EQ(probe_.endings.size(), 1u);
  EXPECT_EQ(probe_.started, probe_.ended);
}

TEST_F(ExchangeTest, A200ThatIsAnErrorCountsAgainstItsEndpoint) {
  options_.pool.feeds.eject_outliers = true;
  const auto exchange = [this](std::string_view answer, bool head_only) {
    FakeStream stream(epp());
    stream.headers({});
    stream.body(kBody);
    stream.headers({{":status", "200"}}, head_only, {}, ExtProcSide::kResponse);
    if (!head_only) stream.body(answer, true, {}, ExtProcSide::kResponse);
  };
  const std::string_view good = R"({"error": null, "choices": [{"text": "an error"}]})";
  for (const std::string_view error :
       {R"({"error": {"code": 500}})", "event: error\ndata: {}\n\n", ""}) {
    for (const bool head_only : {false, true}) {
      if (head_only && !error.empty()) continue;
      epp_.reset();
      probe_.picked.clear();
      exchange(good, false);
      exchange(error, head_only);
      const uint32_t failed = probe_.picked.back();
      for (int i = 0; i < 8; ++i) exchange(good, false);
      EXPECT_EQ(std::count(probe_.picked.begin() + 2, probe_.picked.end(), failed), 0) << error;
    }
  }
}

TEST_F(ExchangeTest, ManyTimesA200ThatIsAnErrorEjectsItsEndpoint) {
  options_.pool.feeds.eject_outliers = true;
  std::vector<std::unique_ptr<FakeStream>> streams;
  const auto answer = [&](size_t i, std::string_view body) {
    streams[i]->headers({{":status", "200"}}, false, {}, ExtProcSide::kResponse);
    streams[i]->body(body, true, {}, ExtProcSide::kResponse);
  };
  for (int i = 0; i < 12; ++i) {
    streams.push_back(std::make_unique<FakeStream>(epp()));
    streams.back()->headers({});
    streams.back()->body(kBody);
  }
  ASSERT_EQ(probe_.picked[1], 1u);
  // One error keeps requests away for a moment; when that is so of everybody, it means nothing.
  for (size_t i = 0; i < 12; ++i) {
    const bool fails = probe_.picked[i] == 0 || i == 1;
    answer(i, fails ? "{\"error\": {}}" : "{\"choices\": []}");
  }
  for (int i = 0; i < 8; ++i) {
    FakeStream stream(epp());
    stream.headers({});
    stream.body(kBody);
    EXPECT_EQ(probe_.picked.back(), 1u);
  }
}

TEST_F(ExchangeTest, AClientThatLeavesReleasesItToo) {
  {
    FakeStream stream(epp());
    stream.headers({});
    stream.body(kBody);
  }
  EXPECT_THAT(probe_.endings, ElementsAre(Ending::kClientGone));
}

TEST_F(ExchangeTest, AnswersTellTheClientWhenAsked) {
  options_.answer_headers = true;
  FakeStream stream(epp());
  stream.headers({});
  stream.body(kBody);
  stream.headers({{":status", "200"}}, true, {}, ExtProcSide::kResponse);
  const ExtProcAnswer answer = stream.answer(2);
  EXPECT_EQ(answer.set_header("x-selected-pod"), "a");
  EXPECT_EQ(answer.set_header("x-cache-hit"), "false");
  EXPECT_TRUE(answer.set_header("x-scheduling-time-ms"));
}

TEST_F(ExchangeTest, WhatIsKnownOfACacheIsToldFromAGuess) {
  FakeExactCaches caches;
  options_.answer_headers = true;
  options_.pool.exact_caches = &caches;
  std::string ids = "7";
  for (int i = 1; i < 64; ++i) ids += ",7";
  for (const bool known : {true, false}) {
    for (uint32_t i = 0; i < 2; ++i) {
      caches.forget(EndpointId(i));
      if (!known) continue;
      caches.know(EndpointId(i), 16);
      caches.hold(EndpointId(i), std::vector<uint32_t>(64, 7), std::nullopt, "m");
    }
    FakeStream stream(epp());
    stream.headers({});
    stream.body(R"({"model":"m","prompt":[)" + ids + "]}");
    stream.headers({{":status", "200"}, {"x-cache-knowledge", "its own"}}, true, {},
                   ExtProcSide::kResponse);
    const ExtProcAnswer answer = stream.answer(2);
    EXPECT_EQ(answer.set_header("x-cache-prefix-length"), known ? "48" : "0");
    EXPECT_EQ(answer.set_header("x-cache-knowledge").value_or("nothing"),
              known ? "exact" : "nothing");
    EXPECT_THAT(answer.removed_headers, Contains("x-cache-knowledge").Times(known ? 0 : 1));
  }
}

TEST_F(ExchangeTest, AnEndpointWithoutANameIsToldByItsAddress) {
  options_.answer_headers = true;
  options_.pool.feeds.endpoints = {{"", "10.0.0.1", 8000, {}}};
  FakeStream stream(epp());
  stream.headers({});
  stream.body(kBody);
  stream.headers({{":status", "200"}}, true, {}, ExtProcSide::kResponse);
  EXPECT_EQ(stream.answer(2).set_header("x-selected-pod"), "10.0.0.1:8000");
}

// A gateway's conformance test asks who answered; it is the gateway that knows.
TEST_F(ExchangeTest, TheServedEndpointIsToldToThatPlugin) {
  options_.pool.config =
      "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"
      "plugins: [{type: destination-endpoint-served-verifier}]\n";
  options_.measure_answers = false;
  const auto answered = [&](std::string_view served) {
    FakeStream stream(epp());
    stream.headers({});
    stream.body(kBody);
    ExtProcContext context;
    context.served_endpoint = served;
    stream.headers({{":status", "200"}}, true, context, ExtProcSide::kResponse);
    return std::string(
        stream.answer(2).set_header("x-conformance-test-served-endpoint").value_or(""));
  };
  EXPECT_EQ(answered("10.0.0.2:8000"), "10.0.0.2:8000");
  EXPECT_EQ(answered(""), "fail: missing destination endpoint served metadata");
}

TEST_F(ExchangeTest, ATokenOfTheProfileThatItIsKeptByNamesItsEndpoint) {
  options_.pool.feeds.endpoints = {{"d", "10.0.0.1", 8000, {{"llm-d.ai/role", "decode"}}},
                                   {"p", "10.0.0.2", 8000, {{"llm-d.ai/role", "prefill"}}}};
  options_.pool.plugins.allow_alpha = true;
  options_.pool.config = R"(
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- {type: disagg-profile-handler, parameters: {deciders: {prefill: always-disagg-pd-decider}}}
- {type: always-disagg-pd-decider}
- {type: decode-filter}
- {type: prefill-filter}
- {type: session-affinity-filter, name: of-decode, parameters: {encodedEndpointHeaderConfig: {header: x-d}}}
- type: session-affinity-filter
  name: of-prefill
  parameters: {encodedEndpointHeaderConfig: {header: x-p}, profileName: prefill}
schedulingProfiles:
- {name: decode, plugins: [{pluginRef: decode-filter}, {pluginRef: of-decode}]}
- {name: prefill, plugins: [{pluginRef: prefill-filter}, {pluginRef: of-prefill}]}
)";
  FakeStream stream(epp());
  stream.headers({});
  stream.body(kBody);
  stream.headers({{":status", "200"}}, true, {}, ExtProcSide::kResponse);
  EXPECT_EQ(stream.answer(2).set_header("x-d"), "ZA==");
  EXPECT_EQ(stream.answer(2).set_header("x-p"), "cA==");
}

// The prefiller's token is told when somebody prefills, and only then.
TEST_F(ExchangeTest, ASessionTokenOfAProfileNamesWhatThatProfileChose) {
  options_.pool.plugins.allow_alpha = true;
  options_.pool.feeds.endpoints = {{"p", "10.0.0.1", 8000, {{"llm-d.ai/role", "prefill"}}},
                                   {"d", "10.0.0.2", 8000, {{"llm-d.ai/role", "decode"}}}};
  const std::string config = R"(plugins:
- type: always-disagg-pd-decider
- type: disagg-profile-handler
  parameters: PARAMETERS
- type: prefill-filter
- type: decode-filter
- type: session-affinity-filter
- type: session-affinity-filter
  name: of-prefill
  parameters: {profileName: prefill, encodedEndpointHeaderConfig: {header: x-prefill-token}}
schedulingProfiles:
- name: prefill
  plugins: [{pluginRef: prefill-filter}, {pluginRef: of-prefill}]
- name: decode
  plugins: [{pluginRef: decode-filter}, {pluginRef: session-affinity-filter}]
)";
  for (const bool prefills : {true, false}) {
    options_.pool.config = config;
    options_.pool.config.replace(
        options_.pool.config.find("PARAMETERS"), 10,
        prefills ? "{deciders: {prefill: always-disagg-pd-decider}}" : "{}");
    {
      FakeStream stream(epp());
      stream.headers({});
      stream.body(kBody);
      stream.headers({{":status", "200"}}, false, {}, ExtProcSide::kResponse);
      const ExtProcAnswer answer = stream.answer(2);
      EXPECT_EQ(answer.set_header("x-session-token"), "ZA==");
      EXPECT_EQ(answer.set_header("x-prefill-token"),
                prefills ? std::optional<std::string_view>("cA==") : std::nullopt);
    }
    epp_.reset();
  }
}

// What decides by answers that pass makes --skip-answers wait for them.
TEST_F(ExchangeTest, AnswersAreWatchedWhenSomethingDecidesByThem) {
  options_.measure_answers = false;
  options_.pool.plugins.allow_alpha = true;
  const std::string head = "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n";
  for (const std::string& config :
       {head + "plugins: [{type: active-request-scorer}]\n",
        head + "plugins: [{type: predicted-cost-picker}]\n",
        head + "plugins: [{type: session-affinity-scorer}]\n",
        head + "plugins: [{type: random-picker}]\nfeatureGates: [flowControl]\n"}) {
    options_.pool.config = config;
    {
      FakeStream stream(epp());
      stream.headers({{":path", "/v1/audio/transcriptions"}});
      stream.body("anything");
      EXPECT_FALSE(stream.finished()) << config;
    }
    epp_.reset();
  }
}

TEST_F(ExchangeTest, NobodysAnswersAreNotWatched) {
  options_.measure_answers = false;
  options_.pool.config =
      "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins: [{type: "
      "random-picker}]\n";
  FakeStream stream(epp());
  stream.headers({});
  stream.body(kBody);
  EXPECT_EQ(stream.answers(), 2u);
  EXPECT_TRUE(stream.finished());
  EXPECT_THAT(probe_.endings, ElementsAre(Ending::kNotWatched));
}

}  // namespace
}  // namespace kvasir
