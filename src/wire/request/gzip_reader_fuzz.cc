// Any bytes as a compressed body: opened within the limits, or an error in words.
#include <cstdint>

#include "base/assert.h"
#include "wire/request/gzip_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto coding = static_cast<kvasir::ContentCoding>(data[0] % 4);
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  kvasir::InflateLimits limits;
  limits.output_bytes = 100'000;
  limits.output_bytes_at_any_ratio = 1000;
  const auto opened = kvasir::inflate_body(coding, body, limits);
  if (opened) {
    KVASIR_ASSERT(opened.value().size() <= limits.output_bytes, "never more than the limit");
  } else {
    KVASIR_ASSERT(!opened.error().message.empty(), "errors have words");
  }
  static_cast<void>(kvasir::content_coding(body));
  return 0;
}
