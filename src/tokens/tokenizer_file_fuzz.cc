// No file crashes the reader, and what it takes can be used: tokens come back as the text's bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "tokens/bpe_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  kvasir::TokenizerLimits limits;
  limits.vocabulary = 4096;  // decode() has a place for every id
  const auto tokenizer = kvasir::BpeTokenizer::load(file, limits);
  if (!tokenizer.ok()) {
    KVASIR_ASSERT(!tokenizer.error().message.empty(), "a refusal says why");
    return 0;
  }
  std::vector<uint32_t> ids;
  KVASIR_ASSERT(tokenizer.value()->encode(file, ids, true), "a text within the limit");
  for (const uint32_t id : ids) KVASIR_ASSERT(id < limits.vocabulary, "ids are those of the file");
  static_cast<void>(tokenizer.value()->decode(ids));
  return 0;
}
