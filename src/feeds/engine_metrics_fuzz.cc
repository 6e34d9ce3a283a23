#include <cstdint>
#include <string_view>

#include "feeds/engine_metrics.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view page(reinterpret_cast<const char*>(data), size);
  for (const char* engine : {"vllm", "triton-tensorrt-llm"}) {
    static_cast<void>(kvasir::read_engine_page(page, *kvasir::find_engine_metric_specs(engine)));
  }
  static_cast<void>(kvasir::parse_metric_spec(page));
  // In pieces it is the same page.
  const kvasir::PageSpecs specs{{*kvasir::find_engine_metric_specs("vllm")}, {}};
  const kvasir::EnginePage whole = kvasir::read_engine_page(page, specs);
  kvasir::EnginePageReader reader(specs);
  for (size_t at = 0; at < size; at += 7) reader.feed(page.substr(at, 7));
  const kvasir::EnginePage pieces = reader.finish();
  if (whole.metrics.waiting != pieces.metrics.waiting || whole.any != pieces.any) __builtin_trap();
  return 0;
}
