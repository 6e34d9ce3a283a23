// Errors in the shapes of vLLM 0.32.0 (tests/vllm/README.md, section 1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvasir {

struct ApiError {
  enum class Shape : uint8_t {
    kError,   // {"error":{"message","type","param","code"}}
    kDetail,  // {"detail": message}
    kText,    // the message as text/plain: a request that is not HTTP
  };
  int status = 400;
  Shape shape = Shape::kError;
  std::string type;
  std::optional<std::string> param;
  std::string message;
};

// The type of what the field checks refuse. Two words, as vLLM spells it.
inline constexpr std::string_view kValidationErrorType = "Bad Request";
inline constexpr std::string_view kBadRequestType = "BadRequestError";
inline constexpr std::string_view kNotFoundType = "NotFoundError";
inline constexpr std::string_view kInternalErrorType = "InternalServerError";

// The field checks' refusal (form V): 400, "Bad Request".
ApiError validation_error(std::optional<std::string> param, std::string message);
// vLLM's own refusal (form B): 400, "BadRequestError".
ApiError bad_request(std::optional<std::string> param, std::string message);
ApiError internal_error(std::string message);
// {"detail": ...} (form D).
ApiError detail_error(int status, std::string message);
// Not HTTP (form H).
ApiError not_http_error();

// Header lines and body of the answer.
std::string_view error_content_type(const ApiError& error);
std::string error_body(const ApiError& error);
// The error as an event of a stream that has begun, without the [DONE] that follows it. Its JSON is
// spaced and in ASCII, as vLLM's is there and only there.
std::string error_event(const ApiError& error);

}  // namespace kvasir
