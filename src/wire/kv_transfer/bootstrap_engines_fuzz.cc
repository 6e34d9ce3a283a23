// Of any answer: there are engines, each with an id, or an error.
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "wire/kv_transfer/bootstrap_engines.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto engines = kvasir::read_bootstrap_engines({reinterpret_cast<const char*>(data), size});
  if (!engines) {
    KVASIR_ASSERT(!engines.error().message.empty(), "an error has a reason");
    return 0;
  }
  KVASIR_ASSERT(!engines->empty(), "there is an engine");
  for (const kvasir::PrefillEngine& engine : *engines) {
    KVASIR_ASSERT(!engine.id.empty(), "an engine has an id");
  }
  return 0;
}
