#include "legs/leg_requests.h"

#include <utility>

#include "net/http/http_exchange.h"
#include "net/http/http_path.h"

namespace kvasir {

std::optional<RequestApi> two_leg_api(const HttpHead& request) {
  constexpr std::pair<std::string_view, RequestApi> kPaths[] = {
      {"/v1/completions", RequestApi::kCompletions},
      {"/v1/chat/completions", RequestApi::kChatCompletions},
      {"/v1/responses", RequestApi::kResponses},
      {"/v1/messages", RequestApi::kAnthropicMessages},
      {"/inference/v1/generate", RequestApi::kVllmGenerate}};
  if (request.method() != "POST") return std::nullopt;
  for (const auto& [path, api] : kPaths) {
    if (request.path() == path) return api;
  }
  return std::nullopt;
}

std::optional<ApiError> take_target(HttpExchange& exchange) {
  const HttpHead& head = exchange.head();
  if (head.method() == "CONNECT" || head.method() == "TRACE") {
    return leg_error(405, "MethodNotAllowed", "CONNECT and TRACE are not relayed");
  }
  if (is_normal_target(head.target())) return std::nullopt;
  const Result<NormalTarget> normal = normal_target(head.target());
  if (!normal || normal->encoded_slash) {
    return bad_request(std::nullopt,
                       normal ? "the path has an encoded slash, which can be read in two ways"
                              : normal.error().message);
  }
  exchange.set_target(normal->target, normal->authority);
  return std::nullopt;
}

ApiError leg_error(int status, std::string_view type, std::string_view message) {
  ApiError error;
  error.status = status;
  error.type = type;
  error.message = message;
  return error;
}

std::string leg_error_fields(const ApiError& error) {
  return std::string("Content-Type: ").append(error_content_type(error)).append("\r\n");
}

}  // namespace kvasir
