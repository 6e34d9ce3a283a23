// How the bodies of requests are read: by path, within limits, and never changed but for the model.
#include <zlib.h>

#include <sstream>

#include "epp/exchange_fixture.h"
#include "serving/api_requests_fixture.h"

namespace kvasir {
namespace {

using Kind = ExtProcAnswer::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

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
  for (const std::string_view path : {"/v1%2fcompletions", "/v1/completions%00", "/v1/completions%",
                                      "/v1\\completions", "/../v1/completions"}) {
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

TEST_F(ExchangeTest, ARuleForTheClientsModelCountsMoreThanTheHeader) {
  const auto sent = [this](FakeStream::Headers fields, const std::string& body) {
    FakeStream stream(epp());
    stream.headers(std::move(fields));
    stream.body(body);
    return std::string(stream.answer(1).body);
  };
  const auto use = [this](const std::vector<std::string>& models) {
    auto table = std::make_shared<ModelRewriteTable>();
    table->add("rule", models, {{"tuned", {}}});
    epp().pool().set_rewrites(table);
  };
  const std::string of_m = R"({"model":"m","prompt":"x"})";
  use({"m"});
  EXPECT_EQ(sent({}, of_m), R"({"model":"tuned","prompt":"x"})");
  EXPECT_EQ(sent({{"x-llm-d-model-name-rewrite", "header"}}, of_m),
            R"({"model":"tuned","prompt":"x"})");
  EXPECT_EQ(sent({{"x-llm-d-model-name-rewrite", "header"}}, R"({"model":"other"})"),
            R"({"model":"header"})");
  use({});
  EXPECT_EQ(sent({}, R"({"prompt":"x"})"), R"({"model":"tuned","prompt":"x"})");
  epp().pool().set_rewrites(nullptr);
  EXPECT_EQ(sent({}, of_m), of_m);
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

TEST_F(ExchangeTest, ACompressedBodyThatARuleIsForGoesOnUncompressed) {
  auto table = std::make_shared<ModelRewriteTable>();
  table->add("rule", {"m"}, {{"tuned", {}}});
  epp().pool().set_rewrites(table);
  const std::string expected = R"({"model":"tuned","prompt":"some words","seed":9007199254740993})";
  FakeStream stream(epp());
  stream.headers({{"content-encoding", "gzip"}});
  stream.body(gzipped(kBody));
  EXPECT_EQ(stream.answer(1).body, expected);
  EXPECT_EQ(stream.answer(0).set_header("content-length"), std::to_string(expected.size()));
  EXPECT_THAT(stream.answer(0).removed_headers, ElementsAre("content-encoding"));
  FakeStream plain(epp());
  plain.headers({});
  plain.body(kBody);
  EXPECT_THAT(plain.answer(0).removed_headers, testing::IsEmpty());
}

TEST_F(ExchangeTest, TargetsOfTenThousandRequestsAreWithinTwoPointsOfTheirWeights) {
  auto table = std::make_shared<ModelRewriteTable>();
  table->add("rule", {"m"}, {{"a", 70}, {"b", 25}, {"c", 5}});
  epp().pool().set_rewrites(table);
  constexpr int kRequests = 10'000;
  std::map<std::string, int> sent;
  for (int i = 0; i < kRequests; ++i) {
    FakeStream stream(epp());
    stream.headers({});
    stream.body(R"({"model":"m"})");
    ++sent[std::string(stream.answer(1).body)];
  }
  EXPECT_EQ(sent.size(), 3u);
  EXPECT_NEAR(sent[R"({"model":"a"})"] / double{kRequests}, 0.70, 0.02);
  EXPECT_NEAR(sent[R"({"model":"b"})"] / double{kRequests}, 0.25, 0.02);
  EXPECT_NEAR(sent[R"({"model":"c"})"] / double{kRequests}, 0.05, 0.02);
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

// Requests are read by their path.
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
      pick(request.path,
           body_with(request, ids ? long_ids(seed + 50'000) : long_words(seed + 50'000), "1"));
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
