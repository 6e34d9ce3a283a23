// From the bytes of a request to a JSON value: rows 3 to 5 of vLLM's checks (tests/vllm/README.md,
// section 2).
#pragma once

#include <optional>
#include <string_view>
#include <variant>

#include "vllm/api_error.h"
#include "vllm/python_json.h"

namespace kvasir {

// A JSON value other than null, or why there is none. `content_type`: the header's value, when
// there is one.
std::variant<JsonValue, ApiError> read_request_body(std::optional<std::string_view> content_type,
                                                    std::string_view body);

// Why read_request_body() would not give a value, in the same words; nullopt: it would. No memory
// is taken for what the body holds, but the time is that of reading it byte by byte.
std::optional<ApiError> check_request_body(std::optional<std::string_view> content_type,
                                           std::string_view body);

// Of a body that peek_request() did not understand, whether vLLM might find an object in it: it
// takes UTF-16, UTF-32 and surrogates on their own. In no more time than it takes to check UTF-8.
bool may_hold_an_object(std::string_view body);

// The refusal of a body that should have been an object.
ApiError body_is_no_object(const JsonValue& value);

}  // namespace kvasir
