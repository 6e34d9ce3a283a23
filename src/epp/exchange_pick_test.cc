// Which endpoint a request goes to, and who may steer it.
#include "epp/exchange_fixture.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(ExchangeTest, ABurstSpreadsBecausePickAndBookingAreOneStep) {
  std::vector<std::unique_ptr<FakeStream>> streams;
  for (int i = 0; i < 4; ++i) {
    streams.push_back(std::make_unique<FakeStream>(epp()));
    streams.back()->headers({});
    streams.back()->body(kBody);
  }
  EXPECT_THAT(probe_.picked, ElementsAre(0, 1, 0, 1));
}

TEST_F(ExchangeTest, SubsetsAreKeptAndOthersRefused) {
  struct Case {
    std::vector<std::string_view> subset;
    std::string destination;
  };
  const Case cases[] = {{{"10.0.0.2:8000"}, "10.0.0.2:8000"},
                        {{"10.0.0.2"}, "10.0.0.2:8000"},
                        {{"10.0.0.2:1"}, "10.0.0.2:8000"},  // the address alone counts
                        {{"10.9.9.9:8000"}, ""},
                        {{}, ""}};
  for (const Case& each : cases) {
    ExtProcContext context;
    context.subset = each.subset;
    FakeStream stream(epp());
    stream.headers({});
    stream.body(kBody, true, context);
    if (!each.destination.empty()) {
      EXPECT_EQ(destination(stream.answer(0)), each.destination);
      continue;
    }
    EXPECT_EQ(stream.answer(0).status, 503u);
    EXPECT_EQ(stream.answer(0).set_header("x-llm-d-request-dropped-reason"),
              "rejected-no-endpoints");
    EXPECT_EQ(stream.answer(0).body,
              "inference error: ServiceUnavailable - failed to find endpoint candidates for "
              "serving the request");
  }
}

TEST_F(ExchangeTest, ExactPortsAreAFlag) {
  options_.subset = SubsetMode::kPort;
  ExtProcContext context;
  context.subset = std::vector<std::string_view>{"10.0.0.2:1"};
  FakeStream stream(epp());
  stream.headers({});
  stream.body(kBody, true, context);
  EXPECT_EQ(stream.answer(0).status, 503u);
}

TEST_F(ExchangeTest, ClientsDoNotSteer) {
  FakeStream stream(epp());
  stream.headers(
      {{"x-prefiller-host-port", "evil:1"}, {"x-gateway-destination-endpoint", "evil:1"}});
  stream.body(kBody);
  const ExtProcAnswer answer = stream.answer(0);
  EXPECT_THAT(answer.removed_headers, ElementsAre("x-prefiller-host-port"));
  EXPECT_EQ(destination(answer), "10.0.0.1:8000");
}

TEST_F(ExchangeTest, UnlessTheyAreTrusted) {
  options_.keep_control_headers = true;
  FakeStream kept(epp());
  kept.headers({{"x-prefiller-host-port", "mine:1"}});
  kept.body(kBody);
  EXPECT_TRUE(kept.answer(0).removed_headers.empty());
}

TEST_F(ExchangeTest, ARequestIdIsMadeWhenThereIsNone) {
  FakeStream without(epp());
  without.headers({});
  without.body(kBody);
  EXPECT_EQ(without.answer(0).set_header("x-request-id").value_or("").size(), 36u);
  FakeStream with(epp());
  with.headers({{"x-request-id", "mine"}});
  with.body(kBody);
  EXPECT_FALSE(with.answer(0).set_header("x-request-id"));
}

TEST_F(ExchangeTest, FallbacksFollowInOrder) {
  options_.pool.plugins.endpoints_per_pick = 2;
  FakeStream stream(epp());
  stream.headers({});
  stream.body(kBody);
  EXPECT_EQ(destination(stream.answer(0)), "10.0.0.1:8000,10.0.0.2:8000");
}

TEST_F(ExchangeTest, ANewConfigurationKeepsWhatIsInFlightAndABadOneChangesNothing) {
  FakeStream running(epp());
  running.headers({});
  running.body(kBody);
  ASSERT_THAT(probe_.picked, ElementsAre(0));
  const auto notes = epp().pool().reconfigure(options_.pool.config + "# changed\n");
  ASSERT_TRUE(notes) << notes.error().message;
  EXPECT_EQ(probe_.configuration_error, "");
  FakeStream next(epp());
  next.headers({});
  next.body(kBody);
  EXPECT_THAT(probe_.picked, ElementsAre(0, 1)) << "the first is still in flight on a";
  EXPECT_FALSE(epp().pool().reconfigure("plugins: [{type: no-such}]"));
  EXPECT_THAT(probe_.configuration_error, HasSubstr("no-such"));
  FakeStream last(epp());
  last.headers({});
  last.body(kBody);
  EXPECT_EQ(probe_.picked.size(), 3u);
}

TEST_F(ExchangeTest, WhoPrefersACachedPromptIsToldWhenThereIsNone) {
  options_.pool.config =
      "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"
      "plugins: [{type: prefix-cache-scorer}]\n";
  const std::string body = R"({"model":"m","prompt":")" + std::string(2000, 'x') + "\"}";
  const auto ask = [&](bool prefers) {
    FakeStream stream(epp());
    stream.headers(prefers ? FakeStream::Headers{{"prefer", "if-available"}}
                           : FakeStream::Headers{});
    stream.body(body);
    return std::pair(stream.answer(0).status, std::string(stream.answer(0).body));
  };
  EXPECT_EQ(ask(true).first, 412u);
  EXPECT_EQ(ask(true).second,
            "inference error: PreconditionFailed - no endpoint holds any of the prompt")
      << "a refused request leaves nothing in the index";
  EXPECT_EQ(ask(false).first, 0u);
  EXPECT_EQ(ask(true).first, 0u);
}

TEST_F(ExchangeTest, FiltersThatLeaveNobodyAreSaturation) {
  options_.pool.config =
      "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"
      "plugins: [{type: prefill-filter}]\n";
  FakeStream stream(epp());
  stream.headers({});
  stream.body(kBody);
  EXPECT_EQ(stream.answer(0).status, 429u);
  EXPECT_EQ(stream.answer(0).set_header("x-llm-d-request-dropped-reason"), "rejected-saturated");
  EXPECT_EQ(stream.answer(0).body,
            "inference error: ResourceExhausted - no endpoints available for the given request");
}

TEST_F(ExchangeTest, WithoutABodyAndWithoutEndpointsTheAnswerIs500) {
  options_.pool.feeds.endpoints.clear();
  FakeStream stream(epp());
  stream.headers({}, true);
  EXPECT_EQ(stream.answer(0).status, 500u);
  EXPECT_EQ(stream.answer(0).body, "inference error: Internal - no pods available in datastore");
}

}  // namespace
}  // namespace kvasir
