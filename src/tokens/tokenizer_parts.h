// The parts of a tokenizer.json beside its model. Private to tokens/.
#pragma once

#include <simdjson.h>

#include "base/result.h"
#include "tokens/tokenizer_file.h"

namespace kvasir {

// What was found, or `otherwise` when nothing of that type was.
template <class Value>
Value value_or(simdjson::simdjson_result<simdjson::dom::element> found, Value otherwise) {
  Value value;
  return found.get(value) == simdjson::SUCCESS ? value : otherwise;
}
// Whether the field is there and true.
bool flag(simdjson::dom::object object, const char* key);

Result<void> read_normalizer(simdjson::dom::object file, TokenizerFile& result);
Result<void> read_pre_tokenizer(simdjson::dom::object file, const TokenizerLimits& limits,
                                TokenizerFile& result);
// Precondition: the other parts of `result` are read.
Result<void> read_post_processor(simdjson::dom::object file, const TokenizerLimits& limits,
                                 TokenizerFile& result);

}  // namespace kvasir
