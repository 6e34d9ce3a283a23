#include <cstdint>
#include <string_view>

#include "feeds/engine_metrics.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view page(reinterpret_cast<const char*>(data), size);
  for (const char* engine : {"vllm", "triton-tensorrt-llm"}) {
    static_cast<void>(kvasir::read_engine_page(page, *kvasir::find_engine_metric_specs(engine)));
  }
  static_cast<void>(kvasir::parse_metric_spec(page));
  return 0;
}
