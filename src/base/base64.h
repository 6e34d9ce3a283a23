// base64 with the letters of RFC 4648, section 4.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace kvasir {

// With padding.
std::string encode_base64(std::string_view bytes);

// How many bytes `text` stands for, which are then in `out`; nullopt when it is not base64 or does
// not fit. Padding may be missing.
std::optional<size_t> decode_base64(std::string_view text, std::span<char> out);
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace kvasir
