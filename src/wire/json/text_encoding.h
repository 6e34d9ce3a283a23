// Turns the bytes of a JSON text into UTF-8, guessing the encoding as Python's json module does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvasir {

// nullopt: the bytes are not text in the encoding they seem to be in. Lone surrogates pass.
// `storage` holds the result when it is not a part of `bytes`.
std::optional<std::string_view> decode_json_bytes(std::string_view bytes, std::string& storage);

// Appends the UTF-8 form of a code point, surrogates included.
void append_utf8(uint32_t code_point, std::string& text);

// The length of the well-formed UTF-8 sequence at the beginning of `bytes` (surrogates count as
// well-formed); 0 when there is none. Precondition: bytes is not empty.
size_t utf8_sequence_length(std::string_view bytes);

}  // namespace kvasir
