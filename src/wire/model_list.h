// The answer to GET /v1/models, as far as a client needs it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

struct ListedModel {
  std::string id;
  std::optional<uint64_t> max_model_len;  // tokens; vLLM tells it, others need not

  bool operator==(const ListedModel&) const = default;
};

// In the order of the answer; the first is the server's main model.
Result<std::vector<ListedModel>> parse_model_list(std::string_view json);

}  // namespace kvasir
