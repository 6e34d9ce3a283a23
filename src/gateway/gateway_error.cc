#include "gateway/gateway_error.h"

namespace kvasir {
namespace {

std::string_view error_type(int status) {
  switch (status) {
    case 401:
      return "AuthenticationError";
    case 403:
      return "PermissionDeniedError";
    case 404:
      return "NotFoundError";
    case 408:
      return "RequestTimeoutError";
    case 429:
      return "TooManyRequestsError";
    case 502:
      return "BadGatewayError";
    case 503:
      return "ServiceUnavailableError";
    case 504:
      return "GatewayTimeoutError";
    default:
      return status < 500 ? "BadRequestError" : "InternalServerError";
  }
}

}  // namespace

ApiError gateway_error(int status, std::string_view message) {
  ApiError error;
  error.status = status;
  error.type = error_type(status);
  error.message = message;
  return error;
}

std::string error_fields(const ApiError& error) {
  return std::string("Content-Type: ").append(error_content_type(error)).append("\r\n");
}

}  // namespace kvasir
