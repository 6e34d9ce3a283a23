// JSON Schema as far as answers are made and checked by it: the keywords of drafts 4 to 2020-12 but
// for references to other documents, anchors, dynamic references and unevaluated members.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "vllm/python_json.h"

namespace kvasir {

inline constexpr size_t kSchemaValuesMost = 20'000;  // values in a schema
inline constexpr int kSchemaDepthMost = 64;  // levels of a schema, and of references followed

// Why the schema cannot be used, in words that name the place; nullopt: it can.
std::optional<std::string> check_json_schema(const JsonValue& schema);

// The part of `root` that a reference names; nullptr: there is none, or it lies elsewhere.
const JsonValue* find_reference(const JsonValue& root, std::string_view reference);

// Whether `value` fits `schema`, a part of `root`. Patterns are taken for matched, and formats.
// `steps` is counted down by the work; when none are left, nothing fits.
bool fits_json_schema(const JsonValue& value, const JsonValue& schema, const JsonValue& root,
                      uint64_t& steps);

// The name that a schema's `type` has for the value's: "integer" for 3 and for 3.0.
std::string_view json_type(const JsonValue& value);
bool equal_json(const JsonValue& one, const JsonValue& other);

// Appends the value as Python's json.dumps writes it: ", " and ": " between things. `ascii`:
// everything else as \uXXXX.
void append_json(const JsonValue& value, bool ascii, std::string& text);

}  // namespace kvasir
