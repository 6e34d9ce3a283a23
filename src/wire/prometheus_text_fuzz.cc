#include <cstdint>
#include <string_view>

#include "wire/prometheus_text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view page(reinterpret_cast<const char*>(data), size);
  static_cast<void>(kvasir::parse_metric_line(page));
  static_cast<void>(kvasir::sum_metric(page, "a"));
  return 0;
}
