#include "legs/leg_requests.h"

#include <utility>

#include "base/text.h"
#include "net/http/http_exchange.h"
#include "net/http/http_path.h"
#include "vllm/request_body.h"
#include "wire/kv_transfer/leg_bodies.h"

namespace kvasir {
namespace {

constexpr size_t kExplainedBodyBytesMost = 1024 * 1024;

}  // namespace

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

Result<std::optional<std::string>> body_without_workers(const HttpHead& request,
                                                        std::string_view body) {
  constexpr std::optional<std::string> kAsItIs = std::nullopt;
  const std::string type = lower_case(request.find("content-type").value_or(""));
  const bool is_form =
      type.starts_with("multipart/") || type.starts_with("application/x-www-form-urlencoded");
  const size_t begin = body.find_first_not_of(kJsonSpace);
  if (is_form || begin == std::string_view::npos) return kAsItIs;
  // Python's JSON reads UTF-16 and UTF-32, too, and a byte order mark.
  const std::string_view head = body.substr(begin, 4);
  const bool is_other_encoding = head.find('\0') != std::string_view::npos ||
                                 head.starts_with("\xef\xbb\xbf") || head.starts_with("\xfe\xff") ||
                                 head.starts_with("\xff\xfe");
  const bool may_be_json = type.empty() || type.find("json") != std::string::npos;
  if (is_other_encoding && may_be_json) {
    return Error{"JSON in UTF-8 without a byte order mark only"};
  }
  if (head.front() != '{') return kAsItIs;
  // As the API with the most places for it.
  const Result<LegBodies> read = LegBodies::read(RequestApi::kVllmGenerate, body);
  if (!read && may_be_json) return read.error();
  if (!read) return kAsItIs;
  if (!read->names_workers()) return kAsItIs;
  return std::optional<std::string>(read->local());
}

ApiError unreadable_body(const HttpHead& request, std::string_view body, const Error& why) {
  if (body.size() <= kExplainedBodyBytesMost) {
    if (auto error = check_request_body(request.find("content-type"), body)) return *error;
  }
  return bad_request(std::nullopt, why.message);
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
