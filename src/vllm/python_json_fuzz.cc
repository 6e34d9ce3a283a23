// What the reader takes, it takes again when it is written as a JSON string; positions stay inside
// the text.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "wire/json/json_text.h"
#include "vllm/python_json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  auto result = kvasir::parse_python_json(text);
  const kvasir::JsonCheck check = kvasir::check_python_json(text);
  if (check.failure.has_value() != std::holds_alternative<kvasir::JsonFailure>(result))
    std::abort();
  if (const auto* failure = std::get_if<kvasir::JsonFailure>(&result)) {
    if (failure->position > size || failure->position != check.failure->position) std::abort();
    return 0;
  }
  const std::string* string = std::get<kvasir::JsonValue>(result).string();
  if (string == nullptr || kvasir::has_lone_surrogate(*string)) return 0;
  std::string json;
  kvasir::append_json_string(*string, json);
  const auto again = kvasir::parse_python_json(json);
  const auto* value = std::get_if<kvasir::JsonValue>(&again);
  if (value == nullptr || value->string() == nullptr || *value->string() != *string) std::abort();
  json.clear();
  kvasir::append_json_ascii_string(*string, json);
  const auto ascii = kvasir::parse_python_json(json);
  if (*std::get<kvasir::JsonValue>(ascii).string() != *string) std::abort();
  return 0;
}
