// The gateway's own errors, in the shape of vLLM's. Private to gateway/.
#pragma once

#include <string>
#include <string_view>

#include "vllm/api_error.h"

namespace kvasir {

ApiError gateway_error(int status, std::string_view message);
// The header lines of an error answer.
std::string error_fields(const ApiError& error);

}  // namespace kvasir
