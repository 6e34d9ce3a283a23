// Of any file: what is read is sound, and reads back the same when it is written.
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "transfer/fs/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  kvasir::safetensors_header_bytes(bytes.substr(0, kvasir::SafeTensors::kPrefixBytes)).ok();
  const auto about = kvasir::parse_safetensors_header(bytes);
  if (!about) return 0;
  uint64_t at = 0;
  for (const kvasir::SafeTensor& tensor : about->tensors) {
    KVASIR_ASSERT(tensor.begin == at && tensor.end >= at, "tensors follow each other");
    at = tensor.end;
  }
  KVASIR_ASSERT(at == about->data_bytes, "they are all of the data");
  const std::string written = kvasir::write_safetensors_header(*about);
  const auto again = kvasir::parse_safetensors_header(std::string_view(written).substr(8));
  KVASIR_ASSERT(again.ok() && kvasir::write_safetensors_header(*again) == written, "it reads back");
  return 0;
}
