// Token ids as msgpack integers: nine tenths of the bytes of KV events. Private to wire/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace kvasir {

// Reads `count` integers from the beginning of `bytes` into `tokens`, which has room for them, and
// answers how many bytes they took. nullopt: the bytes end before, or one of the values is not an
// integer of 32 bits that is not negative; what is in `tokens` then means nothing.
std::optional<size_t> read_token_array(std::string_view bytes, size_t count, uint32_t* tokens);

}  // namespace kvasir
