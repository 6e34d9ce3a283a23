// Which parser reads a request, by its path: the registry of llm-d's endpoint picker.
//
// A parser claims path suffixes. The longest suffix of the path that starts after a `/` decides (or,
// of vertexai-parser, after a `.`: a gRPC package may come before it); of two equal ones the parser that was registered first. The passthrough parser claims every path
// that no other does. Values only; const functions may be called from several threads.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/checked.h"
#include "wire/request/request_api.h"

namespace kvasir {

struct EndpointPickerConfig;

enum class RequestParser : uint8_t {
  kOpenAi,
  kAnthropic,
  kVllmHttp,
  kSglangHttp,
  kVllmGrpc,
  kVertexAi,
  kPassthrough
};

// Whether a plugin type is one of upstream's parsers.
bool is_request_parser(std::string_view type);

// kPassthrough: nothing is refused for what the body holds. With another api than kOpaque it is
// read all the same, as far as it can be understood.
struct RequestRoute {
  RequestParser parser = RequestParser::kOpenAi;
  RequestApi api = RequestApi::kUnknown;
};

// A parser as requestHandler.parsers of an EndpointPickerConfig names it.
struct ParserReference {
  std::string name;  // of the plugin
  std::string type;  // its type
};

class RequestParsers {
 public:
  // openai, anthropic, vllmhttp, passthrough: what upstream uses when none is configured. Paths of
  // engines that none of these claims (/generate, /invocations, /pooling, /classify, /rerank,
  // /score) pass, too, and their route says how the prompt can be found.
  RequestParsers();

  // In this order; an empty list makes the default one. A type that is there twice counts once.
  // Errors: a type that is not a parser.
  static Checked<RequestParsers> create(std::span<const ParserReference> references);
  // Those that requestHandler.parsers names, by the types of their plugins.
  static Checked<RequestParsers> of(const EndpointPickerConfig& config);

  // `path` may carry a query and slashes at its end. nullopt: no parser takes it.
  std::optional<RequestRoute> find(std::string_view path) const;

  const std::vector<RequestParser>& parsers() const { return parsers_; }

 private:
  struct Suffix {
    std::string_view text;
    bool whole_path;  // `/text` itself, not what ends in it
    RequestRoute route;
  };

  explicit RequestParsers(std::vector<RequestParser> parsers);
  void claim(RequestParser parser);

  std::vector<RequestParser> parsers_;
  std::vector<Suffix> suffixes_;  // in the order of registration
  bool passthrough_ = false;
};

// The path to look up: `:path`, else x-original-path, else x-forwarded-path, else /v1/completions.
// An empty value counts as absent. `header` returns a field's value by its lower-case name.
std::string_view request_path(
    const std::function<std::optional<std::string_view>(std::string_view)>& header);

}  // namespace kvasir
