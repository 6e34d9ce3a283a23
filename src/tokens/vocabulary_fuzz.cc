// decode(encode(text)) is the text, for every byte string.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "tokens/vocabulary.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::vector<kvasir::TokenId> tokens = kvasir::encode(text);
  KVASIR_ASSERT(kvasir::decode(tokens) == text, "decode(encode(text)) == text");
  return 0;
}
