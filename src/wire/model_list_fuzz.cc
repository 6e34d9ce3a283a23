// Any bytes: never read out of bounds.
#include <cstdint>

#include "wire/model_list.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static_cast<void>(kvasir::parse_model_list({reinterpret_cast<const char*>(data), size}));
  return 0;
}
