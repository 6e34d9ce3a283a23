#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "wire/kv_digest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto digests = kvasir::read_kv_digests({reinterpret_cast<const char*>(data), size});
  if (digests && !kvasir::read_kv_digests(kvasir::write_kv_digests(*digests))) std::abort();
  return 0;
}
