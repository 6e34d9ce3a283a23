// --header-route of the gateway.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/gateway_options.h"

namespace kvasir {

// Each NAME=VALUE=http://HOST:PORT. Errors begin with the flag.
Result<std::vector<HeaderRoute>> read_header_routes(const std::vector<std::string>& texts);

}  // namespace kvasir
