// JSON text as the tree of values that wire/yaml makes of YAML, lines included. Most JSON is YAML,
// too; what is not (tabs, pairs of surrogates) and what is large are read here.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>

#include "base/remark.h"
#include "base/value.h"

namespace kvasir {

inline constexpr size_t kJsonDepthMost = 64;

// Whether `text` is one JSON text, in UTF-8.
bool is_json(std::string_view text);

// The value, or the first problem: a key that stands twice in one map, numbers that do not fit 64
// bits, more than `values_most` values, or lists and maps that nest deeper than kJsonDepthMost.
// Precondition: is_json(text).
std::variant<Value, Remark> parse_json_value(std::string_view text, size_t values_most);

// The value as JSON text behind what `json` holds. It nests as deep as its reader let it.
void append_json(const Value& value, std::string& json);

}  // namespace kvasir
