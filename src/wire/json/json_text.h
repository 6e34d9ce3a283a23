// Writes JSON strings and numbers by appending to a text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvasir {

// Appends `text` as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string_view text, std::string& json);
// The same without the quotes, for a string that is written in pieces.
void append_json_escaped(std::string_view text, std::string& json);
// The same in ASCII: everything else as \uXXXX.
void append_json_ascii_string(std::string_view text, std::string& json);

void append_number(int64_t value, std::string& json);
// The shortest digits that read back as `value`, with a point or an exponent in them.
void append_real(double value, std::string& json);

}  // namespace kvasir
