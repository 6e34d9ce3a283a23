// x-prefiller-host-port: where the picker would have a request prefilled.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/io/socket.h"

namespace kvasir {

class HttpHead;

inline constexpr std::string_view kPrefillerHeader = "x-prefiller-host-port";

// The candidates in their order, each once: of several field lines each is one, a single line is a
// list with commas. Each is HOST:PORT, with "http://" before it or without. Empty: the request is
// not to be prefilled elsewhere (no field, or nothing in it). An error says which one is none.
Result<std::vector<HostPort>> prefill_candidates(const HttpHead& request, size_t most);

// x-kv-cache-source-host-port: who has more of the prompt in its cache. nullopt: nobody; what is no
// HOST:PORT counts as that, as with llm-d's.
inline constexpr std::string_view kSourceHeader = "x-kv-cache-source-host-port";
std::optional<HostPort> kv_source_of(const HttpHead& request);

}  // namespace kvasir
