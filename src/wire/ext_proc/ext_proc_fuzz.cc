// Any bytes as a ProcessingRequest: read or refused, and what is read lies inside the message.
#include <cstdint>

#include "base/assert.h"
#include "wire/ext_proc/ext_proc.h"

namespace {

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() &&
                          part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  kvasir::ExtProcRequest request;
  if (!kvasir::read_ext_proc_request(message, request)) return 0;
  KVASIR_ASSERT(inside(request.body, message), "the body is a view");
  KVASIR_ASSERT(inside(request.metadata.served_endpoint, message), "so is the endpoint");
  for (const auto& header : request.headers) {
    KVASIR_ASSERT(inside(header.key, message) && inside(header.value, message), "so are headers");
  }
  return 0;
}
