// A selector that is understood means the same when it is written out and read again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "cluster/label_selector.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using kvasir::LabelSelector;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const kvasir::Result<LabelSelector> selector = LabelSelector::parse(text);
  if (!selector) return 0;
  const kvasir::Result<LabelSelector> again = LabelSelector::parse(selector->to_string());
  KVASIR_ASSERT(again && *again == *selector, "what was written out is the same selector");
  const LabelSelector::Labels labels = {{"app", "vllm"}, {"a", ""}};
  KVASIR_ASSERT(again->matches(labels) == selector->matches(labels), "and takes the same");
  return 0;
}
