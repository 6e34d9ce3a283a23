#include <cstdint>
#include <string_view>

#include "wire/yaml/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static_cast<void>(
      kvasir::parse_yaml(std::string_view(reinterpret_cast<const char*>(data), size)));
  return 0;
}
