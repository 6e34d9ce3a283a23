// Any bytes: never read out of bounds, and what is read is written and read back the same.
#include <cstdint>

#include "wire/mooncake_trace.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const uint32_t block_tokens = data[0] % 2 == 0 ? 512 : 1 + data[0] % 32;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto trace = kvasir::parse_mooncake_trace(text, "fuzz", block_tokens);
  if (!trace) return 0;
  std::string written;
  for (const kvasir::TraceRow& row : trace->rows) kvasir::append_mooncake_row(row, written);
  const auto again = kvasir::parse_mooncake_trace(written, "fuzz", block_tokens);
  KVASIR_ASSERT(again.ok() && again->rows == trace->rows && again->unknown_keys.empty(),
                "a trace survives being written");
  return 0;
}
