// Row 6 of vLLM's checks: what its request classes refuse before they look at the types of fields.
// They see raw JSON values, so Python's truth values decide.
#pragma once

#include <optional>

#include "vllm/api_error.h"
#include "vllm/python_json.h"

namespace kvasir {

std::optional<ApiError> check_raw_completion(const JsonObject& body);
std::optional<ApiError> check_raw_chat(const JsonObject& body);
// Both generation flags at once; /tokenize has only this one.
std::optional<ApiError> check_raw_generation_flags(const JsonObject& body);

}  // namespace kvasir
