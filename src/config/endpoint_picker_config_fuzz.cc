#include <cstdint>
#include <string_view>

#include "config/read_endpoint_picker_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(kvasir::read_endpoint_picker_config(text, kvasir::upstream_plugin_types()));
  return 0;
}
