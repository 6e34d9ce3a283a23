#include "vllm/api_error.h"

#include <utility>

#include "wire/json/json_text.h"

namespace kvasir {

ApiError validation_error(std::optional<std::string> param, std::string message) {
  return {400, ApiError::Shape::kError, std::string(kValidationErrorType), std::move(param),
          std::move(message)};
}

ApiError bad_request(std::optional<std::string> param, std::string message) {
  return {400, ApiError::Shape::kError, std::string(kBadRequestType), std::move(param),
          std::move(message)};
}

ApiError internal_error(std::string message) {
  return {500, ApiError::Shape::kError, std::string(kInternalErrorType), std::nullopt,
          std::move(message)};
}

ApiError detail_error(int status, std::string message) {
  return {status, ApiError::Shape::kDetail, {}, std::nullopt, std::move(message)};
}

ApiError not_http_error() {
  return {400, ApiError::Shape::kText, {}, std::nullopt, "Invalid HTTP request received."};
}

std::string_view error_content_type(const ApiError& error) {
  return error.shape == ApiError::Shape::kText ? "text/plain; charset=utf-8" : "application/json";
}

std::string error_body(const ApiError& error) {
  if (error.shape == ApiError::Shape::kText) return error.message;
  std::string json;
  if (error.shape == ApiError::Shape::kDetail) {
    json = "{\"detail\":";
    append_json_string(error.message, json);
    return json.append("}");
  }
  json = "{\"error\":{\"message\":";
  append_json_string(error.message, json);
  json.append(",\"type\":");
  append_json_string(error.type, json);
  json.append(",\"param\":");
  if (error.param) {
    append_json_string(*error.param, json);
  } else {
    json.append("null");
  }
  json.append(",\"code\":").append(std::to_string(error.status)).append("}}");
  return json;
}

std::string error_event(const ApiError& error) {
  std::string event = "data: {\"error\": {\"message\": ";
  append_json_ascii_string(error.message, event);
  event.append(", \"type\": ");
  append_json_ascii_string(error.type, event);
  event.append(", \"param\": ");
  if (error.param) {
    append_json_ascii_string(*error.param, event);
  } else {
    event.append("null");
  }
  event.append(", \"code\": ").append(std::to_string(error.status)).append("}}\n\n");
  return event;
}

}  // namespace kvasir
