#include <cstdint>
#include <string_view>

#include "feeds/discovery.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto list = kvasir::read_endpoints_file(text, "endpoints.yaml");
  if (!list) return 0;
  for (const kvasir::Endpoint& endpoint : *list) {
    if (endpoint.name.empty() || endpoint.port == 0) __builtin_trap();
  }
  return 0;
}
