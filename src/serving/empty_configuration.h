// A configuration that says nothing: an emptied file parses, and would mean the defaults.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kvasir {

// Whether the text is empty, holds comments only, or no more than apiVersion, kind and keys without
// a value. False when it cannot be parsed.
bool configures_nothing(std::string_view text);

// How many plugins the text names in its list: a file that was cut short names fewer than before.
size_t plugins_named(std::string_view text);

// What is told at the start, when such a file is used: as by upstream, with the defaults.
std::string empty_configuration_note(std::string_view name);
// And later, when it is not, after one that said something.
std::string empty_configuration_refusal(std::string_view name);

}  // namespace kvasir
