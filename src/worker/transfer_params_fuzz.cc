// Of any body: what is found is an object that lies in it.
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "worker/transfer_params.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const std::string_view params = kvasir::transfer_params_of(body);
  if (params.empty()) return 0;
  KVASIR_ASSERT(
      params.data() >= body.data() && params.data() + params.size() <= body.data() + body.size(),
      "the params are a part of the body");
  KVASIR_ASSERT(params.front() == '{' && params.back() == '}', "the params are an object");
  kvasir::prefiller_cached_tokens(params);
  return 0;
}
