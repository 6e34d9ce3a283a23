// Of any file: a header that is read is the one that would be written.
#include <cstdint>
#include <span>
#include <string>

#include "base/assert.h"
#include "transfer/fs/segment_header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  const auto length = kvasir::segment_header_bytes(bytes, 0x3030303030303030, 0x40);
  if (!length || *length > size) return 0;
  const auto header = kvasir::parse_segment_header(bytes.first(*length));
  if (!header) return 0;
  const std::string written = kvasir::write_segment_header(*header);
  KVASIR_ASSERT(written == std::string_view(reinterpret_cast<const char*>(data), *length),
                "it is what would be written");
  return 0;
}
