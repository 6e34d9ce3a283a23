// What the text of an answer has to be: response_format, structured_outputs and their like.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "vllm/python_json.h"

namespace kvasir {

struct AnswerConstraint {
  enum class Kind : uint8_t {
    kNone,
    kJson,    // a JSON text that fits `schema`
    kRegex,   // what matches `regex`
    kChoice,  // one of `choices`
  };
  Kind kind = Kind::kNone;
  std::shared_ptr<const JsonValue> schema = {};
  std::string regex = {};
  std::vector<std::string> choices = {};
};

// Any JSON object.
std::shared_ptr<const JsonValue> any_object_schema();

}  // namespace kvasir
