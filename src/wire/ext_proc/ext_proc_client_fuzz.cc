// Any bytes as a ProcessingResponse: read or refused, and what is read lies inside the message.
#include <cstdint>

#include "base/assert.h"
#include "wire/ext_proc/ext_proc_client.h"

namespace {

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  const auto answer = kvasir::read_ext_proc_answer(message);
  if (!answer) return 0;
  KVASIR_ASSERT(inside(answer->body, message), "the body is a view");
  KVASIR_ASSERT(inside(answer->details, message), "so are the details");
  for (const auto& header : answer->set_headers) {
    KVASIR_ASSERT(inside(header.key, message) && inside(header.value, message), "so are headers");
  }
  for (const auto& entry : answer->metadata) {
    KVASIR_ASSERT(inside(entry.key, message), "so is metadata");
    KVASIR_ASSERT(inside(entry.value.value_or(""), message), "and its values");
  }
  return 0;
}
