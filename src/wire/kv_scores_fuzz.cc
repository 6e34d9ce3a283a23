#include <cstddef>
#include <cstdint>

#include "wire/kv_scores.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  static_cast<void>(kvasir::read_score_answer(bytes));
  static_cast<void>(kvasir::read_score_query(bytes));
  return 0;
}
