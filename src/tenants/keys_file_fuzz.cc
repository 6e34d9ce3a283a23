#include <cstdint>
#include <string_view>

#include "tenants/tenant_table.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto table = kvasir::load_tenants("keys.yaml", text);
  if (table) static_cast<void>((*table)->find({}, {}));
  return 0;
}
