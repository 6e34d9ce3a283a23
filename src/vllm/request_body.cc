#include "vllm/request_body.h"

#include <simdjson.h>

#include <string>

#include "base/text.h"
#include "vllm/field_reader.h"

namespace kvasir {
namespace {

// The lower-cased media type, as it stands before the first ';'.
std::string media_type(std::optional<std::string_view> content_type) {
  const std::string_view all = content_type.value_or("");
  return lower_case(all.substr(0, all.find(';')));
}

// Whether the body is read as JSON at all: application/json or application/*+json.
bool is_json(std::string_view media) {
  constexpr std::string_view kApplication = "application/";
  constexpr std::string_view kSuffix = "+json";
  media = trimmed(media);
  if (media.substr(0, kApplication.size()) != kApplication) return false;
  const std::string_view subtype = media.substr(kApplication.size());
  return subtype == "json" || (subtype.size() >= kSuffix.size() &&
                               subtype.substr(subtype.size() - kSuffix.size()) == kSuffix);
}

ApiError json_error(const JsonFailure& failure) {
  if (failure.kind == JsonFailure::Kind::kOther) {
    return detail_error(400, "There was an error parsing the body");
  }
  const std::string location = "body." + std::to_string(failure.position);
  return validation_error(location,
                          "1 validation error:\n  {'type': 'json_invalid', 'loc': '" + location +
                              "', 'msg': 'JSON decode error', 'input': '<dict of 0 items>', "
                              "'ctx': {'error': \"" +
                              failure.message + "\"}}");
}

// What is wrong with a body that is JSON, or was not read as JSON.
std::optional<ApiError> refusal(std::string_view media, bool is_null) {
  if (media != "application/json") {
    return validation_error(
        std::nullopt,
        "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed");
  }
  if (!is_null) return std::nullopt;
  FieldErrors errors;
  errors.add("missing", "body", "Field required", JsonValue());
  return errors.to_error();
}

}  // namespace

std::variant<JsonValue, ApiError> read_request_body(std::optional<std::string_view> content_type,
                                                    std::string_view body) {
  const std::string media = media_type(content_type);
  JsonValue value;
  if (!body.empty() && is_json(media)) {
    auto parsed = parse_python_json(body);
    if (const JsonFailure* failure = std::get_if<JsonFailure>(&parsed)) return json_error(*failure);
    value = std::get<JsonValue>(std::move(parsed));
  }
  if (std::optional<ApiError> error = refusal(media, value.is_null())) return *error;
  return value;
}

std::optional<ApiError> check_request_body(std::optional<std::string_view> content_type,
                                           std::string_view body) {
  const std::string media = media_type(content_type);
  bool is_null = true;
  if (!body.empty() && is_json(media)) {
    const JsonCheck check = check_python_json(body);
    if (check.failure) return json_error(*check.failure);
    is_null = check.is_null;
  }
  return refusal(media, is_null);
}

bool may_hold_an_object(std::string_view body) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  const std::string_view head = body.substr(0, 4);
  const bool wide = head.find('\0') != std::string_view::npos || head.substr(0, 2) == "\xff\xfe" ||
                    head.substr(0, 2) == "\xfe\xff";
  if (wide) return true;
  if (body.substr(0, 3) == kByteOrderMark) body.remove_prefix(3);
  const size_t first = body.find_first_not_of(kJsonSpace);
  if (first == std::string_view::npos || body[first] != '{') return false;
  return !simdjson::validate_utf8(body.data(), body.size());
}

ApiError body_is_no_object(const JsonValue& value) {
  FieldErrors errors;
  errors.add("model_attributes_type", "body",
             "Input should be a valid dictionary or object to extract fields from", value);
  return errors.to_error();
}

}  // namespace kvasir
