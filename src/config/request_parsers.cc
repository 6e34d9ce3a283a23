#include "config/request_parsers.h"

#include <algorithm>

#include "config/endpoint_picker_config.h"

namespace kvasir {
namespace {

constexpr std::string_view kFallbackPath = "/v1/completions";

struct TypeName {
  std::string_view name;
  RequestParser parser;
};
constexpr TypeName kParserTypes[] = {
    {"openai-parser", RequestParser::kOpenAi},
    {"anthropic-parser", RequestParser::kAnthropic},
    {"vllmhttp-parser", RequestParser::kVllmHttp},
    {"sglanghttp-parser", RequestParser::kSglangHttp},
    {"vllmgrpc-parser", RequestParser::kVllmGrpc},
    {"vertexai-parser", RequestParser::kVertexAi},
    {"passthrough-parser", RequestParser::kPassthrough},
};

struct Claim {
  RequestParser parser;
  std::string_view suffix;
  RequestApi api;
};
constexpr Claim kClaims[] = {
    {RequestParser::kOpenAi, "chat/completions", RequestApi::kChatCompletions},
    {RequestParser::kOpenAi, "completions", RequestApi::kCompletions},
    {RequestParser::kOpenAi, "embeddings", RequestApi::kEmbeddings},
    {RequestParser::kOpenAi, "responses", RequestApi::kResponses},
    {RequestParser::kOpenAi, "conversations", RequestApi::kConversations},
    {RequestParser::kOpenAi, "chat/completions/render", RequestApi::kChatCompletions},
    {RequestParser::kOpenAi, "completions/render", RequestApi::kCompletions},
    {RequestParser::kOpenAi, "images/generations", RequestApi::kCompletions},
    {RequestParser::kAnthropic, "messages", RequestApi::kAnthropicMessages},
    {RequestParser::kAnthropic, "messages/count_tokens", RequestApi::kAnthropicMessages},
    {RequestParser::kVllmHttp, "inference/v1/generate", RequestApi::kVllmGenerate},
    {RequestParser::kSglangHttp, "generate", RequestApi::kSglangGenerate},
    {RequestParser::kVllmGrpc, "vllm.grpc.engine.VllmEngine/Generate",
     RequestApi::kVllmGrpcGenerate},
    {RequestParser::kVllmGrpc, "vllm.grpc.engine.VllmEngine/Embed", RequestApi::kVllmGrpcEmbed},
    {RequestParser::kVertexAi, "PredictionService/ChatCompletions", RequestApi::kVertexAiChat},
    {RequestParser::kVertexAi, "PredictionService/StreamRawPredict",
     RequestApi::kVertexAiResponses},
    {RequestParser::kVertexAi, "PredictionService/RawPredict", RequestApi::kVertexAiResponses},
};

// Paths of engines that no parser of upstream's claims. Whoever lists no parsers has them read as
// far as they can be understood, and never refused for what is in them.
constexpr Claim kEnginePaths[] = {
    {RequestParser::kPassthrough, "generate", RequestApi::kSglangGenerate},
    {RequestParser::kPassthrough, "invocations", RequestApi::kUnknown},
    {RequestParser::kPassthrough, "pooling", RequestApi::kEmbeddings},
    {RequestParser::kPassthrough, "classify", RequestApi::kEmbeddings},
    {RequestParser::kPassthrough, "v1/classify", RequestApi::kEmbeddings},
    {RequestParser::kPassthrough, "rerank", RequestApi::kRerank},
    {RequestParser::kPassthrough, "v1/rerank", RequestApi::kRerank},
    {RequestParser::kPassthrough, "v2/rerank", RequestApi::kRerank},
    {RequestParser::kPassthrough, "score", RequestApi::kRerank},
    {RequestParser::kPassthrough, "v1/score", RequestApi::kRerank},
};

Result<RequestParser> parser_of(const ParserReference& reference) {
  for (const TypeName& type : kParserTypes) {
    if (type.name == reference.type) return type.parser;
  }
  const std::string what = "requestHandler.parsers: \"" + reference.name + "\": ";
  return Error{what + "\"" + reference.type + "\" is not a parser"};
}

// Without the query and the slashes at its end.
std::string_view bare(std::string_view path) {
  path = path.substr(0, path.find('?'));
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  return path;
}

bool claims(RequestParser parser, std::string_view suffix, std::string_view path) {
  if (!path.ends_with(suffix)) return false;
  if (path.size() == suffix.size()) return true;
  const char before = path[path.size() - suffix.size() - 1];
  return before == '/' || (before == '.' && parser == RequestParser::kVertexAi);
}

}  // namespace

bool is_request_parser(std::string_view type) {
  const auto is_it = [&](const auto& known) { return known.name == type; };
  return std::any_of(std::begin(kParserTypes), std::end(kParserTypes), is_it);
}

RequestParsers::RequestParsers()
    : RequestParsers({RequestParser::kOpenAi, RequestParser::kAnthropic, RequestParser::kVllmHttp,
                      RequestParser::kPassthrough}) {
  for (const Claim& claim : kEnginePaths) {
    suffixes_.push_back({claim.suffix, true, {claim.parser, claim.api}});
  }
}

RequestParsers::RequestParsers(std::vector<RequestParser> parsers) : parsers_(std::move(parsers)) {
  for (const RequestParser parser : parsers_) claim(parser);
}

Checked<RequestParsers> RequestParsers::create(std::span<const ParserReference> references) {
  if (references.empty()) return RequestParsers();
  std::vector<RequestParser> parsers;
  for (const ParserReference& reference : references) {
    const Result<RequestParser> parser = parser_of(reference);
    if (!parser) return parser.error();
    const bool twice = std::find(parsers.begin(), parsers.end(), *parser) != parsers.end();
    if (!twice) parsers.push_back(*parser);
  }
  return RequestParsers(std::move(parsers));
}

Checked<RequestParsers> RequestParsers::of(const EndpointPickerConfig& config) {
  std::vector<ParserReference> references;
  for (const std::string& name : config.parsers) {
    const PluginConfig* plugin = config.find_plugin(name);
    if (plugin == nullptr) {
      return Error{"requestHandler.parsers: there is no plugin \"" + name + "\""};
    }
    references.push_back({plugin->name, plugin->type});
  }
  return create(references);
}

void RequestParsers::claim(RequestParser parser) {
  passthrough_ |= parser == RequestParser::kPassthrough;
  for (const Claim& claim : kClaims) {
    if (claim.parser != parser) continue;
    suffixes_.push_back({claim.suffix, parser == RequestParser::kSglangHttp, {parser, claim.api}});
  }
}

std::optional<RequestRoute> RequestParsers::find(std::string_view path) const {
  path = bare(path);
  const Suffix* best = nullptr;
  for (const Suffix& suffix : suffixes_) {
    if (best != nullptr && suffix.text.size() <= best->text.size()) continue;
    if (!claims(suffix.route.parser, suffix.text, path)) continue;
    if (suffix.whole_path && path.size() != suffix.text.size() + 1) continue;
    best = &suffix;
  }
  if (best != nullptr) return best->route;
  if (passthrough_) return RequestRoute{RequestParser::kPassthrough, RequestApi::kOpaque};
  return std::nullopt;
}

std::string_view request_path(
    const std::function<std::optional<std::string_view>(std::string_view)>& header) {
  for (const std::string_view name : {":path", "x-original-path", "x-forwarded-path"}) {
    const std::optional<std::string_view> value = header(name);
    if (value && !value->empty()) return *value;
  }
  return kFallbackPath;
}

}  // namespace kvasir
