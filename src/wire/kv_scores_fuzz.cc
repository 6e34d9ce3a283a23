#include <cstddef>
#include <cstdint>

#include "wire/kv_scores.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static_cast<void>(kvasir::read_score_answer({reinterpret_cast<const char*>(data), size}));
  return 0;
}
