// Of any field: what is read can be written, and read again.
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "wire/trace_context.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto trace = kvasir::read_traceparent({reinterpret_cast<const char*>(data), size});
  if (!trace) return 0;
  const auto again = kvasir::read_traceparent(kvasir::traceparent(*trace, 1));
  KVASIR_ASSERT(again && again->trace_id == trace->trace_id, "the trace goes on");
  return 0;
}
