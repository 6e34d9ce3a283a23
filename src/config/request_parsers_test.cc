#include "config/request_parsers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "config/endpoint_picker_config.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Parser = RequestParser;
using Api = RequestApi;

RequestParsers of(const std::vector<std::string>& types) {
  std::vector<ParserReference> references;
  for (const std::string& type : types) references.push_back({type, type});
  Checked<RequestParsers> parsers = RequestParsers::create(references);
  EXPECT_TRUE(parsers) << (parsers ? "" : parsers.error().message);
  return parsers ? *parsers : RequestParsers();
}

TEST(RequestParsers, DefaultListTakesEveryPathTheLongestSuffixDecides) {
  const RequestParsers parsers;
  EXPECT_THAT(parsers.parsers(), ElementsAre(Parser::kOpenAi, Parser::kAnthropic, Parser::kVllmHttp,
                                             Parser::kPassthrough));
  const struct {
    std::string_view path;
    Parser parser;
    Api api;
  } cases[] = {
      {"/v1/completions", Parser::kOpenAi, Api::kCompletions},
      {"completions", Parser::kOpenAi, Api::kCompletions},
      {"/completions", Parser::kOpenAi, Api::kCompletions},
      {"/v1/chat/completions", Parser::kOpenAi, Api::kChatCompletions},
      {"/team/a/v1/chat/completions/", Parser::kOpenAi, Api::kChatCompletions},
      {"/v1/chat/completions?x=/v1/embeddings", Parser::kOpenAi, Api::kChatCompletions},
      {"/v1/chat/completions//?x", Parser::kOpenAi, Api::kChatCompletions},
      {"/v1/embeddings", Parser::kOpenAi, Api::kEmbeddings},
      {"/v1/responses", Parser::kOpenAi, Api::kResponses},
      {"/v1/conversations", Parser::kOpenAi, Api::kConversations},
      {"/v1/chat/completions/render", Parser::kOpenAi, Api::kChatCompletions},
      {"/v1/completions/render", Parser::kOpenAi, Api::kCompletions},
      {"/v1/images/generations", Parser::kOpenAi, Api::kCompletions},
      {"/v1/messages", Parser::kAnthropic, Api::kAnthropicMessages},
      {"/v1/messages/count_tokens", Parser::kAnthropic, Api::kAnthropicMessages},
      {"/inference/v1/generate", Parser::kVllmHttp, Api::kVllmGenerate},
      {"/v1/audio/transcriptions", Parser::kPassthrough, Api::kOpaque},
      {"/v1/responses/resp_1/cancel", Parser::kPassthrough, Api::kOpaque},
      {"/v1/mycompletions", Parser::kPassthrough, Api::kOpaque},
      {"/v1/Completions", Parser::kPassthrough, Api::kOpaque},
      {"/v1/completions/x", Parser::kPassthrough, Api::kOpaque},
      {"/", Parser::kPassthrough, Api::kOpaque},
      {"", Parser::kPassthrough, Api::kOpaque},
  };
  for (const auto& test : cases) {
    const std::optional<RequestRoute> route = parsers.find(test.path);
    ASSERT_TRUE(route) << test.path;
    EXPECT_EQ(route->parser, test.parser) << test.path;
    EXPECT_EQ(route->api, test.api) << test.path;
  }
}

// Nothing is refused there for what the body holds, as upstream has it; but the prompt is looked
// for.
TEST(RequestParsers, PathsOfEnginesPassAndAreReadWhenNoParserIsNamed) {
  const RequestParsers parsers;
  const struct {
    std::string_view path;
    Api api;
  } cases[] = {
      {"/generate", Api::kSglangGenerate}, {"/generate/?x=1", Api::kSglangGenerate},
      {"/invocations", Api::kUnknown},     {"/pooling", Api::kEmbeddings},
      {"/classify", Api::kEmbeddings},     {"/v1/classify", Api::kEmbeddings},
      {"/rerank", Api::kRerank},           {"/v1/rerank", Api::kRerank},
      {"/v2/rerank", Api::kRerank},        {"/score", Api::kRerank},
      {"/v1/score", Api::kRerank},         {"/x/generate", Api::kOpaque},
      {"/x/invocations", Api::kOpaque},
  };
  for (const auto& test : cases) {
    const std::optional<RequestRoute> route = parsers.find(test.path);
    ASSERT_TRUE(route) << test.path;
    EXPECT_EQ(route->parser, Parser::kPassthrough) << test.path;
    EXPECT_EQ(route->api, test.api) << test.path;
  }
  const RequestParsers named = of({"openai-parser", "passthrough-parser"});
  EXPECT_EQ(named.find("/generate")->api, Api::kOpaque);
  EXPECT_EQ(of({"sglanghttp-parser"}).find("/generate")->parser, Parser::kSglangHttp);
}

TEST(RequestParsers, WithoutPassthroughUnknownPathsHaveNone) {
  const RequestParsers parsers = of({"openai-parser", "anthropic-parser"});
  EXPECT_TRUE(parsers.find("/v1/messages"));
  for (const std::string_view path : {"/v1/models", "/generate", "/", "", "?completions"}) {
    EXPECT_FALSE(parsers.find(path)) << path;
  }
}

TEST(RequestParsers, SglangTakesItsExactPathOnly) {
  const RequestParsers parsers = of({"sglanghttp-parser", "vllmhttp-parser"});
  for (const std::string_view path : {"/generate", "/generate/", "/generate?x=1"}) {
    const std::optional<RequestRoute> route = parsers.find(path);
    ASSERT_TRUE(route) << path;
    EXPECT_EQ(route->parser, Parser::kSglangHttp) << path;
  }
  EXPECT_EQ(parsers.find("/inference/v1/generate")->parser, Parser::kVllmHttp);
  for (const std::string_view path : {"/v1/generate", "generate", "//generate"}) {
    EXPECT_FALSE(parsers.find(path)) << path;
  }
}

TEST(RequestParsers, GrpcServicesAreClaimedWhateverPackageTheyAreIn) {
  const RequestParsers parsers = of({"vllmgrpc-parser", "vertexai-parser", "openai-parser"});
  const struct {
    std::string_view path;
    std::optional<Api> api;
  } cases[] = {
      {"/vllm.grpc.engine.VllmEngine/Generate", Api::kVllmGrpcGenerate},
      {"/vllm.grpc.engine.VllmEngine/Embed", Api::kVllmGrpcEmbed},
      {"/vllm.grpc.engine.VllmEngine/Abort", std::nullopt},
      {"/other.vllm.grpc.engine.VllmEngine/Generate", std::nullopt},
      {"/google.cloud.aiplatform.v1.PredictionService/ChatCompletions", Api::kVertexAiChat},
      {"/PredictionService/RawPredict", Api::kVertexAiResponses},
      {"/google.cloud.aiplatform.v1beta1.PredictionService/StreamRawPredict",
       Api::kVertexAiResponses},
      {"/MyPredictionService/RawPredict", std::nullopt},
      {"/v1.completions", std::nullopt},
      {"/v1/chat/completions", Api::kChatCompletions},
  };
  for (const auto& test : cases) {
    const std::optional<RequestRoute> route = parsers.find(test.path);
    EXPECT_EQ(route ? std::optional(route->api) : std::nullopt, test.api) << test.path;
  }
}

TEST(RequestParsers, OneThatIsNamedTwiceCountsOnce) {
  EXPECT_THAT(of({"openai-parser", "openai-parser"}).parsers(), ElementsAre(Parser::kOpenAi));
}

TEST(RequestParsers, PassthroughComesLastWhereverItStands) {
  const RequestParsers parsers = of({"passthrough-parser", "openai-parser"});
  EXPECT_EQ(parsers.find("/v1/completions")->parser, Parser::kOpenAi);
  EXPECT_EQ(parsers.find("/v1/messages")->parser, Parser::kPassthrough);
}

TEST(RequestParsers, NoneConfiguredIsTheDefaultList) {
  EXPECT_EQ(of({}).parsers(), RequestParsers().parsers());
}

TEST(RequestParsers, WrongListsAreRefusedWithTheReason) {
  const struct {
    std::vector<ParserReference> references;
    const char* error;
  } cases[] = {
      {{{"q", "queue-scorer"}}, "\"q\": \"queue-scorer\" is not a parser"},
  };
  for (const auto& test : cases) {
    const Checked<RequestParsers> parsers = RequestParsers::create(test.references);
    ASSERT_FALSE(parsers) << test.error;
    EXPECT_THAT(parsers.error().message, HasSubstr(test.error));
  }
}

TEST(RequestParsers, ConfigurationNamesThemByPlugin) {
  EndpointPickerConfig config;
  EXPECT_EQ(RequestParsers::of(config)->parsers(), RequestParsers().parsers());
  PluginConfig plugin;
  plugin.name = "mine";
  plugin.type = "anthropic-parser";
  config.plugins = {plugin};
  config.parsers = {"mine"};
  EXPECT_THAT(RequestParsers::of(config)->parsers(), ElementsAre(Parser::kAnthropic));
  config.parsers = {"mine", "gone"};
  const Checked<RequestParsers> missing = RequestParsers::of(config);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("no plugin \"gone\""));
}

TEST(RequestParsers, EveryParserHasTheNameConfigurationsUse) {
  for (const auto& [type, parser] : std::map<std::string, Parser>{
           {"openai-parser", Parser::kOpenAi}, {"passthrough-parser", Parser::kPassthrough}}) {
    EndpointPickerConfig config;
    config.plugins = {PluginConfig{"mine", type, Value(), 0}};
    config.parsers = {"mine"};
    EXPECT_THAT(RequestParsers::of(config)->parsers(), ElementsAre(parser)) << type;
  }
}

TEST(RequestPath, FallsBackFieldByField) {
  using Fields = std::map<std::string_view, std::string_view>;
  const struct {
    Fields fields;
    std::string_view path;
  } cases[] = {
      {{{":path", "/a"}, {"x-original-path", "/b"}}, "/a"},
      {{{":path", ""}, {"x-original-path", "/b"}, {"x-forwarded-path", "/c"}}, "/b"},
      {{{"x-forwarded-path", "/c"}}, "/c"},
      {{}, "/v1/completions"},
  };
  for (const auto& test : cases) {
    EXPECT_EQ(request_path([&](std::string_view name) -> std::optional<std::string_view> {
                const auto found = test.fields.find(name);
                if (found == test.fields.end()) return std::nullopt;
                return found->second;
              }),
              test.path);
  }
}

}  // namespace
}  // namespace kvasir
