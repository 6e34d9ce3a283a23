// Any schema: it is refused, or the texts that are made up for it are JSON and fit it.
#include <cstdint>

#include "base/assert.h"
#include "vllm/schema/json_sample.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto parsed = kvasir::parse_python_json(bytes);
  kvasir::JsonValue* value = std::get_if<kvasir::JsonValue>(&parsed);
  if (value == nullptr) return 0;
  const auto schema = std::make_shared<const kvasir::JsonValue>(std::move(*value));
  const auto sampler = kvasir::JsonSampler::create(schema);
  if (!sampler) return 0;
  const auto made = kvasir::parse_python_json(sampler->text(size));
  const auto* text = std::get_if<kvasir::JsonValue>(&made);
  KVASIR_ASSERT(text != nullptr, "what is made up is JSON");
  uint64_t steps = 10'000'000;
  KVASIR_ASSERT(kvasir::fits_json_schema(*text, *schema, *schema, steps) || steps == 0,
                "what is made up fits");
  return 0;
}
