// What a gateway says and hears, message by message.
#include <zlib.h>

#include <algorithm>
#include <sstream>

#include "epp/exchange_fixture.h"
#include "serving/api_requests_fixture.h"

namespace kvasir {
namespace {

using Kind = ExtProcAnswer::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kBody = R"({"model":"m","prompt":"some words","seed":9007199254740993})";

ExtProcContext with_modes(ExtProcBodyMode request, ExtProcBodyMode response) {
  ExtProcContext context;
  context.protocol = ExtProcProtocol{request, response, false};
  return context;
}

TEST_F(ExchangeTest, NothingIsAnsweredBeforeTheBodysEnd) {
  FakeStream stream(epp());
  stream.headers({});
  stream.body(kBody.substr(0, 10), false);
  EXPECT_EQ(stream.answers(), 0u);
  stream.body(kBody.substr(10));
  ASSERT_EQ(stream.answers(), 2u);
  const ExtProcAnswer head = stream.answer(0);
  EXPECT_EQ(head.kind, Kind::kRequestHeaders);
  EXPECT_TRUE(head.clear_route_cache);
  EXPECT_EQ(destination(head), "10.0.0.1:8000");
  ASSERT_EQ(head.metadata.size(), 1u);
  EXPECT_EQ(head.metadata[0].space, "envoy.lb");
  EXPECT_EQ(head.metadata[0].value, "10.0.0.1:8000");
  EXPECT_EQ(head.set_header("content-length"), std::to_string(kBody.size()));
  const ExtProcAnswer body = stream.answer(1);
  EXPECT_EQ(body.body, kBody);
  EXPECT_TRUE(body.end_of_stream);
}

TEST_F(ExchangeTest, ALargeBodyComesBackInPiecesAndTheLastEndsIt) {
  const std::string large = R"({"model":"m","prompt":")" + std::string(150'000, 'x') + "\"}";
  FakeStream stream(epp());
  stream.headers({});
  stream.body(large);
  std::string back;
  for (size_t i = 1; i < stream.answers(); ++i) {
    const ExtProcAnswer piece = stream.answer(i);
    EXPECT_LE(piece.body.size(), kExtProcChunkBytes);
    EXPECT_EQ(piece.end_of_stream, i + 1 == stream.answers());
    back.append(piece.body);
  }
  EXPECT_EQ(back, large);
}

TEST_F(ExchangeTest, ABurstSpreadsBecausePickAndBookingAreOneStep) {
  std::vector<std::unique_ptr<FakeStream>> streams;
  for (int i = 0; i < 4; ++i) {
    streams.push_back(std::make_unique<FakeStream>(epp()));
    streams.back()->headers({});
    streams.back()->body(kBody);
  }
  EXPECT_THAT(probe_.picked, ElementsAre(0, 1, 0, 1));
}

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

TEST_F(ExchangeTest, BufferedAnswersTheHeadersAtOnceAndPicksWithTheBody) {
  FakeStream stream(epp());
  stream.headers({}, false, with_modes(ExtProcBodyMode::kBuffered, ExtProcBodyMode::kNone));
  ASSERT_EQ(stream.answers(), 1u);
  EXPECT_EQ(destination(stream.answer(0)), "(none)");
  stream.body(kBody);
  ASSERT_EQ(stream.answers(), 2u);
  EXPECT_EQ(stream.answer(1).kind, Kind::kRequestBody);
  EXPECT_EQ(destination(stream.answer(1)), "10.0.0.1:8000");
  EXPECT_EQ(stream.answer(1).body_change, ExtProcAnswer::Body::kUntouched);
  EXPECT_TRUE(stream.answer(1).clear_route_cache);
}

TEST_F(ExchangeTest, WithoutHeadersTheBodyCarriesThePick) {
  FakeStream stream(epp());
  stream.body(kBody, true, with_modes(ExtProcBodyMode::kBuffered, ExtProcBodyMode::kNone));
  ASSERT_EQ(stream.answers(), 1u);
  EXPECT_EQ(destination(stream.answer(0)), "10.0.0.1:8000");
}

TEST_F(ExchangeTest, WithoutABodyToComeTheHeadersCarryThePick) {
  for (const ExtProcBodyMode mode : {ExtProcBodyMode::kNone, ExtProcBodyMode::kStreamed}) {
    FakeStream stream(epp());
    stream.headers({}, false, with_modes(mode, ExtProcBodyMode::kNone));
    ASSERT_EQ(stream.answers(), 1u);
    EXPECT_NE(destination(stream.answer(0)), "(none)");
  }
}

TEST_F(ExchangeTest, TrailersEndABodyThatHasNoOtherEnd) {
  FakeStream stream(epp());
  stream.headers({});
  stream.body(kBody, false);
  stream.trailers(ExtProcSide::kRequest);
  ASSERT_EQ(stream.answers(), 3u);
  EXPECT_FALSE(stream.answer(1).end_of_stream);
  EXPECT_EQ(stream.answer(2).kind, Kind::kRequestTrailers);
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

TEST_F(ExchangeTest, BadBodiesAreRefusedWithUpstreamsWords) {
  struct Case {
    std::string_view body;
    std::string_view text;
  };
  const Case cases[] = {
      {"{", "inference error: BadRequest - error unmarshaling request bodyMap: "},
      {R"({"prompt":"x"})", "inference error: BadRequest - model not found in request body"}};
  for (const Case& each : cases) {
    FakeStream stream(epp());
    stream.headers({});
    stream.body(each.body);
    EXPECT_EQ(stream.answer(0).status, 400u);
    EXPECT_THAT(std::string(stream.answer(0).body), HasSubstr(std::string(each.text)));
    EXPECT_TRUE(stream.finished());
  }
}

// Unread, a body that is no JSON would pass.
TEST_F(ExchangeTest, PathIsReadAsTheEndpointWillReadIt) {
  for (const std::string_view path : {"/%761/completions", "/v1/comple%74ions", "//v1//completions",
                                      "/x/../v1/completions", "/v1/completions#x"}) {
    FakeStream stream(epp());
    stream.headers({{":path", path}});
    stream.body("no JSON");
    EXPECT_EQ(stream.answer(0).status, 400u) << path;
    EXPECT_THAT(std::string(stream.answer(0).body), HasSubstr("unmarshaling")) << path;
  }
  for (const std::string_view path :
       {"/v1%2fcompletions", "/v1/completions%00", "/v1/completions%", "/v1\\completions", "/../v1/completions"}) {
    FakeStream stream(epp());
    stream.headers({{":path", path}});
    stream.body(kBody);
    EXPECT_EQ(stream.answer(0).status, 400u) << path;
    EXPECT_THAT(std::string(stream.answer(0).body), HasSubstr("the path")) << path;
  }
}

TEST_F(ExchangeTest, BodiesAndHeadersHaveALimit) {
  options_.body_bytes_max = 100;
  options_.header_bytes_max = 100;
  FakeStream large(epp());
  large.headers({});
  large.body(std::string(101, ' '));
  EXPECT_EQ(large.answer(0).status, 413u);
  FakeStream wide(epp());
  const std::string field(101, 'x');
  wide.headers({{"x", field}});
  EXPECT_EQ(wide.answer(0).status, 431u);
}

TEST_F(ExchangeTest, HeldBodiesHaveALimitTogether) {
  options_.bodies_bytes_max = 1000;
  FakeStream first(epp());
  first.headers({});
  first.body(std::string(900, ' '), false);
  FakeStream second(epp());
  second.headers({});
  second.body(std::string(200, ' '), false);
  EXPECT_EQ(second.answer(0).status, 429u);
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

TEST_F(ExchangeTest, ARewrittenModelIsSplicedAndPutBackInTheAnswer) {
  FakeStream stream(epp());
  stream.headers({{"x-llm-d-model-name-rewrite", "target"}});
  stream.body(kBody);
  EXPECT_EQ(stream.answer(1).body,
            R"({"model":"target","prompt":"some words","seed":9007199254740993})");
  EXPECT_EQ(stream.answer(0).set_header("content-length"), std::to_string(kBody.size() + 5));
  stream.headers({{":status", "200"}, {"content-length", "30"}}, false, {}, ExtProcSide::kResponse);
  EXPECT_THAT(stream.answer(2).removed_headers, ElementsAre("content-length"));
  stream.body("{\"id\":1,\"mod", false, {}, ExtProcSide::kResponse);
  stream.body("el\":\"target\"}", true, {}, ExtProcSide::kResponse);
  std::string back;
  for (size_t i = 3; i < stream.answers(); ++i) back.append(stream.answer(i).body);
  EXPECT_EQ(back, R"({"id":1,"model":"m"})");
  EXPECT_TRUE(stream.answer(stream.answers() - 1).end_of_stream);
}

std::string gzipped(std::string_view text) {
  std::string packed(text.size() + 100, '\0');
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

TEST_F(ExchangeTest, ACompressedBodyIsReadAndGoesOnAsItCame) {
  const std::string packed = gzipped(kBody);
  FakeStream stream(epp());
  stream.headers({{"content-encoding", "gzip"}});
  stream.body(packed);
  EXPECT_EQ(stream.answer(1).body, packed);

  FakeStream rewritten(epp());
  rewritten.headers({{"content-encoding", "gzip"}, {"x-llm-d-model-name-rewrite", "target"}});
  rewritten.body(packed);
  EXPECT_EQ(rewritten.answer(0).status, 400u);

  FakeStream broken(epp());
  broken.headers({{"content-encoding", "gzip"}});
  broken.body(kBody);
  EXPECT_EQ(broken.answer(0).status, 400u);
}

TEST_F(ExchangeTest, AnswersPassPieceByPieceAndTrailersAreAnswered) {
  FakeStream stream(epp());
  stream.headers({});
  stream.body(kBody);
  stream.headers({{":status", "200"}, {"content-type", "text/event-stream"}}, false, {},
                 ExtProcSide::kResponse);
  EXPECT_EQ(stream.answer(2).set_header("x-went-into-resp-headers"), "true");
  stream.body("data: 1\n\n", false, {}, ExtProcSide::kResponse);
  EXPECT_EQ(stream.answer(3).body, "data: 1\n\n");
  EXPECT_FALSE(stream.answer(3).end_of_stream);
  stream.trailers(ExtProcSide::kResponse);
  EXPECT_EQ(stream.answer(4).kind, Kind::kResponseTrailers);
  EXPECT_THAT(probe_.endings, ElementsAre(Ending::kNatural));
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
    return std::string(stream.answer(2).set_header("x-conformance-test-served-endpoint").value_or(""));
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

// vLLM's gRPC service: token ids decide, and nothing wants a model.
TEST_F(ExchangeTest, GrpcRequestsAreReadAndGoOnAsTheyCame) {
  options_.pool.config = R"(
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- {type: vllmgrpc-parser}
- {type: prefix-cache-scorer}
- {type: active-request-scorer}
schedulingProfiles:
- {name: default, plugins: [{pluginRef: prefix-cache-scorer, weight: 2}, {pluginRef: active-request-scorer}]}
requestHandler: {parsers: [{pluginRef: vllmgrpc-parser}]}
)";
  const auto generate = [](char ids) {
    const std::string tokenized = std::string("\x12\xe8\x07", 3) + std::string(1000, ids);
    return std::string("\0\0\0\x03\xee\x12\xeb\x07", 8) + tokenized;
  };
  std::vector<std::unique_ptr<FakeStream>> streams;
  const auto send = [&](const std::string& body) -> FakeStream& {
    streams.push_back(std::make_unique<FakeStream>(epp()));
    streams.back()->headers({{":path", "/vllm.grpc.engine.VllmEngine/Generate"}});
    streams.back()->body(body);
    return *streams.back();
  };
  const std::string one = generate('\x05');
  EXPECT_EQ(send(one).answer(1).body, one);
  send(generate('\x06'));
  send(one);
  EXPECT_THAT(probe_.picked, ElementsAre(0, 1, 0));
  EXPECT_GT(probe_.cached_tokens, 0u);
  const ExtProcAnswer refused = send("{}").answer(0);
  EXPECT_EQ(refused.status, 400u);
  EXPECT_EQ(refused.body, "inference error: BadRequest - the gRPC body is shorter than its frame");
}

// Nobody reads these requests, for one reason or another; they load their endpoints all the same.
struct UnreadRequest {
  const char* why;
  const char* parsers;  // of the configuration, or nothing
  const char* path;
  ExtProcBodyMode mode = ExtProcBodyMode::kFullDuplexStreamed;
};

constexpr UnreadRequest kUnreadRequests[] = {
    {"no parser claims the path", "", "/v1/audio/transcriptions"},
    {"passthrough alone", "passthrough-parser", "/v1/completions"},
    {"passthrough beside others", "openai-parser passthrough-parser", "/inference"},
    {"Envoy sends no body", "", "/v1/completions", ExtProcBodyMode::kNone},
    {"Envoy waits for the headers' answer", "", "/v1/completions", ExtProcBodyMode::kStreamed},
    {"Envoy buffers", "", "/v1/audio/transcriptions", ExtProcBodyMode::kBuffered},
};

class UnreadRequestTest : public ExchangeTest, public ::testing::WithParamInterface<UnreadRequest> {
 protected:
  UnreadRequestTest() {
    options_.pool.feeds.endpoints = {
        {"a", "10.0.0.1", 8000, {}}, {"b", "10.0.0.2", 8000, {}}, {"c", "10.0.0.3", 8000, {}}};
    options_.pool.config =
        "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"
        "plugins:\n- type: active-request-scorer\n- type: session-affinity-scorer\n";
    options_.pool.plugins.allow_alpha = true;
    std::istringstream types(GetParam().parsers);
    std::string references;
    for (std::string type; types >> type;) {
      options_.pool.config.append("- type: " + type + "\n");
      references.append("- pluginRef: " + type + "\n");
    }
    if (!references.empty())
      options_.pool.config.append("requestHandler:\n parsers:\n " + indented(references));
  }

  static std::string indented(std::string lines) {
    for (size_t at = 0; (at = lines.find("\n-", at)) != std::string::npos; at += 2) {
      lines.insert(at + 1, " ");
    }
    return lines;
  }

  std::unique_ptr<FakeStream> send(std::optional<std::vector<std::string_view>> subset = {}) {
    ExtProcContext context = with_modes(GetParam().mode, GetParam().mode);
    context.subset = std::move(subset);
    auto stream = std::make_unique<FakeStream>(epp());
    stream->headers({{":path", GetParam().path}}, false, context);
    const bool body_comes = GetParam().mode == ExtProcBodyMode::kFullDuplexStreamed ||
                            GetParam().mode == ExtProcBodyMode::kBuffered;
    if (body_comes) stream->body("anything", true, context);
    return stream;
  }
};

TEST_P(UnreadRequestTest, CountsInFlightUntilItsAnswerEnds) {
  std::vector<std::unique_ptr<FakeStream>> streams;
  for (int i = 0; i < 6; ++i) {
    streams.push_back(send(std::vector<std::string_view>{"10.0.0.1:8000"}));
  }
  probe_.picked.clear();
  for (int i = 0; i < 12; ++i) streams.push_back(send());
  EXPECT_EQ(std::count(probe_.picked.begin(), probe_.picked.end(), 0u), 0);
  EXPECT_EQ(std::count(probe_.picked.begin(), probe_.picked.end(), 1u), 6);
  EXPECT_EQ(std::count(probe_.picked.begin(), probe_.picked.end(), 2u), 6);
  EXPECT_TRUE(probe_.endings.empty());

  FakeStream& first = *streams.front();
  first.headers({{":status", "200"}}, false, {}, ExtProcSide::kResponse);
  const ExtProcAnswer head = first.answer(first.answers() - 1);
  EXPECT_EQ(head.kind, Kind::kResponseHeaders);
  EXPECT_TRUE(head.set_header("x-session-token")) << "the session is bound by the answer";
  first.body("bytes", true, {}, ExtProcSide::kResponse);
  EXPECT_EQ(first.answer(first.answers() - 1).kind, Kind::kResponseBody);
  EXPECT_THAT(probe_.endings, ElementsAre(Ending::kNatural));
  probe_.picked.clear();
  streams.push_back(send());
  EXPECT_THAT(probe_.picked, ElementsAre(0u)) << "it has the least again";
}

INSTANTIATE_TEST_SUITE_P(Kinds, UnreadRequestTest, ::testing::ValuesIn(kUnreadRequests));

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

TEST_F(ExchangeTest, ASecondEndOfTheRequestIsNotAnswered) {
  FakeStream stream(epp());
  stream.headers({});
  stream.body(kBody);
  stream.body("", true);
  EXPECT_EQ(stream.answers(), 2u);
  stream.headers({{":status", "200"}}, false, {}, ExtProcSide::kResponse);
  stream.body("x", true, {}, ExtProcSide::kResponse);
  stream.body("", true, {}, ExtProcSide::kResponse);
  EXPECT_EQ(stream.answers(), 4u) << "nor is a second end of the answer";
  EXPECT_EQ(probe_.endings.size(), 1u);

  FakeStream bodiless(epp());
  bodiless.headers({}, true);
  bodiless.body("", true);
  EXPECT_EQ(bodiless.answers(), 1u);

  FakeStream longer(epp());
  longer.headers({});
  longer.body(kBody);
  longer.body("more");
  EXPECT_EQ(longer.code(), GrpcCode::kInvalidArgument) << "bytes behind the end are no request";

  FakeStream streamed(epp());
  const ExtProcContext context = with_modes(ExtProcBodyMode::kStreamed, ExtProcBodyMode::kNone);
  streamed.headers({}, false, context);
  streamed.body(kBody.substr(0, 5), false, context);
  streamed.body(kBody.substr(5), true, context);
  EXPECT_EQ(streamed.answers(), 3u);
  streamed.body("", true, context);
  EXPECT_EQ(streamed.answers(), 3u);
}

TEST_F(ExchangeTest, FallbacksFollowInOrder) {
  options_.pool.plugins.endpoints_per_pick = 2;
  FakeStream stream(epp());
  stream.headers({});
  stream.body(kBody);
  EXPECT_EQ(destination(stream.answer(0)), "10.0.0.1:8000,10.0.0.2:8000");
}

TEST_F(ExchangeTest, GarbageEndsItsStreamAlone) {
  FakeStream stream(epp());
  FakeStream other(epp());
  other.headers({});
  stream.raw("\xff\xff");
  EXPECT_TRUE(stream.finished());
  EXPECT_EQ(stream.code(), GrpcCode::kInvalidArgument);
  other.body(kBody);
  EXPECT_EQ(other.answers(), 2u);
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
    stream.headers(prefers ? FakeStream::Headers{{"prefer", "if-available"}} : FakeStream::Headers{});
    stream.body(body);
    return std::pair(stream.answer(0).status, std::string(stream.answer(0).body));
  };
  EXPECT_EQ(ask(true).first, 412u);
  EXPECT_EQ(ask(true).second, "inference error: PreconditionFailed - no endpoint holds any of the prompt")
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

constexpr const char* kFlowControl = R"(apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
featureGates: [flowControl]
plugins:
- type: concurrency-detector
  parameters: {maxConcurrency: 1}
- type: active-request-scorer
flowControl: {saturationDetector: {pluginRef: concurrency-detector}}
)";

TEST_F(ExchangeTest, AFullPoolHoldsRequestsUntilThereIsRoom) {
  options_.pool.config = kFlowControl;
  std::vector<std::unique_ptr<FakeStream>> running;
  for (int i = 0; i < 2; ++i) {
    running.push_back(std::make_unique<FakeStream>(epp()));
    running.back()->headers({});
    running.back()->body(kBody);
    EXPECT_EQ(running.back()->answers(), 2u);
  }
  FakeStream held(epp());
  held.headers({});
  held.body(kBody);
  EXPECT_EQ(held.answers(), 0u);
  running[1].reset();
  loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
  loop_->run();
  ASSERT_EQ(held.answers(), 2u);
  EXPECT_EQ(destination(held.answer(0)), "10.0.0.2:8000");
}

TEST_F(ExchangeTest, AConcurrencyLimitHoldsUnreadRequestsToo) {
  options_.pool.config = kFlowControl;
  const auto send = [&](FakeStream& stream) {
    stream.headers({{":path", "/v1/audio/transcriptions"}});
    stream.body("--boundary not JSON");
  };
  std::vector<std::unique_ptr<FakeStream>> running;
  for (int i = 0; i < 2; ++i) {
    running.push_back(std::make_unique<FakeStream>(epp()));
    send(*running.back());
    EXPECT_EQ(running.back()->answers(), 2u);
  }
  FakeStream held(epp());
  send(held);
  EXPECT_EQ(held.answers(), 0u);
  running[0]->headers({{":status", "200"}}, true, {}, ExtProcSide::kResponse);
  loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
  loop_->run();
  ASSERT_EQ(held.answers(), 2u) << "the end of an unread answer makes room";
  EXPECT_EQ(destination(held.answer(0)), "10.0.0.1:8000");
}

TEST_F(ExchangeTest, AClientThatLeavesWhileItIsHeldLeavesNothingBehind) {
  options_.pool.config = kFlowControl;
  FakeStream first(epp()), second(epp());
  for (FakeStream* stream : {&first, &second}) {
    stream->headers({});
    stream->body(kBody);
  }
  {
    FakeStream held(epp());
    held.headers({});
    held.body(kBody);
  }
  EXPECT_EQ(epp().pool().stats().flow.requests, 0u);
  EXPECT_EQ(probe_.picked.size(), 2u);
}

TEST_F(ExchangeTest, AHeldRequestHasADeadline) {
  options_.pool.config = kFlowControl;
  options_.pool.journey.decision_deadline = std::chrono::milliseconds(1);
  FakeStream first(epp()), second(epp());
  for (FakeStream* stream : {&first, &second}) {
    stream->headers({});
    stream->body(kBody);
  }
  FakeStream held(epp());
  held.headers({});
  held.body(kBody);
  while (held.answers() == 0) {
    loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
    loop_->run();
  }
  EXPECT_EQ(held.answer(0).status, 429u);
  EXPECT_EQ(held.answer(0).set_header("x-llm-d-request-dropped-reason"), "rejected-ttl-expired");
}

TEST_F(ExchangeTest, SheddableRequestsAreRefusedWhileNobodyIsThere) {
  options_.pool.feeds.endpoints.clear();
  options_.pool.feeds.endpoints_file = "";
  options_.pool.priority_of = [](std::string_view name) -> std::optional<int32_t> {
    return name == "batch" ? std::optional<int32_t>(-1) : std::nullopt;
  };
  FakeStream stream(epp());
  stream.headers({{"x-llm-d-inference-objective", "batch"}});
  stream.body(kBody);
  EXPECT_EQ(stream.answer(0).status, 429u);
  EXPECT_EQ(stream.answer(0).body,
            "inference error: ResourceExhausted - system saturated, sheddable request dropped");
}

// --- Requests are read by their path ---------------------------------------------------------

class ExchangeApiTest : public ExchangeTest {
 protected:
  ExchangeApiTest() {
    options_.pool.plugins.allow_alpha = true;
    options_.pool.config =
        "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"
        "plugins: [{type: predicted-cost-picker}]\n";
  }
  // Sends a request to its end; where it went.
  uint32_t pick(const std::string& path, const std::string& body) {
    FakeStream stream(epp());
    stream.headers({{":method", "POST"}, {":path", path}});
    stream.body(body);
    stream.headers({{":status", "200"}}, true, {}, ExtProcSide::kResponse);
    EXPECT_TRUE(probe_.refused.empty()) << path;
    return probe_.picked.empty() ? 99 : probe_.picked.back();
  }
};

TEST_F(ExchangeApiTest, OnePromptStaysOnOneEndpointWhateverTheApi) {
  int seed = 100'000;
  for (const bool ids : {false, true}) {
    for (const ApiRequest& request : ids ? api_id_requests() : api_requests()) {
      const std::string head = ids ? long_ids(seed += 100'000) : long_words(seed += 100'000);
      const uint32_t first = pick(request.path, body_with(request, head, "1"));
      EXPECT_EQ(probe_.cached_tokens, 0u) << request.name;
      for (int i = 2; i <= 4; ++i) {
        EXPECT_EQ(pick(request.path, body_with(request, head, std::to_string(i))), first)
            << request.name;
        EXPECT_GT(probe_.cached_tokens, 2000u) << request.name;
      }
      pick(request.path, body_with(request, ids ? long_ids(seed + 50'000) : long_words(seed + 50'000), "1"));
      EXPECT_LT(probe_.cached_tokens, 600u) << request.name;
    }
  }
}

TEST_F(ExchangeApiTest, SglangsRequestsNameNoModel) {
  options_.pool.config =
      "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"
      "plugins: [{type: predicted-cost-picker}, {type: sglanghttp-parser}]\n"
      "requestHandler: {parsers: [{pluginRef: sglanghttp-parser}]}\n";
  const uint32_t first = pick("/generate", "{\"text\":\"" + long_words(1) + "\"}");
  EXPECT_EQ(pick("/generate", "{\"text\":\"" + long_words(1) + " more\"}"), first);
  EXPECT_GT(probe_.cached_tokens, 2000u);
  FakeStream bad(epp());
  bad.headers({{":path", "/generate"}});
  bad.body("{bad");
  EXPECT_THAT(probe_.refused, ElementsAre(400));
}

// Whatever their bodies hold, they go on.
TEST_F(ExchangeApiTest, PathsOfEnginesAreNeverRefusedForTheirBodies) {
  for (const char* path : {"/generate", "/invocations", "/rerank", "/v1/audio/transcriptions"}) {
    for (const char* body : {"{bad", "[1]", "--boundary", "{\"prompt\":\"x\"}", "\x1f\x8b"}) {
      const size_t picked = probe_.picked.size();
      pick(path, body);
      EXPECT_EQ(probe_.picked.size(), picked + 1) << path << body;
    }
  }
}

}  // namespace
}  // namespace kvasir
