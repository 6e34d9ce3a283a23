// Unicode's normal form C: characters and their marks as one where there is such a character.
#pragma once

#include <string>
#include <string_view>

namespace kvasir {

// Whether the text may be another in form C. Fast; most texts of the world are not.
bool may_need_nfc(std::string_view utf8);
// The text in form C. Precondition: it is UTF-8.
std::string nfc(std::string_view utf8);

}  // namespace kvasir
