// kv_transfer_params of a request, as they stand in its body.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kvasir {

// The last member of that name; empty: there is none, or null, or it says nothing. A view of
// `body`.
std::string_view transfer_params_of(std::string_view body);

// How much of the prompt the prefiller found in its cache: what the usage of the decoder tells.
// nullopt: no prefiller says so.
std::optional<uint64_t> prefiller_cached_tokens(std::string_view params);

}  // namespace kvasir
