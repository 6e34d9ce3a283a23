// Any bytes through the scan and the parser: never out of bounds, and never a usage or an error
// that the parser does not see.
#include <cstdint>

#include "wire/openai_stream.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto scanned = kvasir::read_stream_event(text);
  const auto parsed = kvasir::parse_answer(text);
  if (!parsed || !scanned) return 0;
  KVASIR_ASSERT(!scanned->usage || scanned->usage == parsed->usage, "the scan makes up no usage");
  KVASIR_ASSERT(!scanned->error || scanned->error == parsed->error, "the scan makes up no error");
  return 0;
}
