// Any bytes as a manifest: never read out of bounds, and each object is read, refused or not known.
#include <cstdint>
#include <cstdlib>

#include "wire/kube/kube_manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto objects = kvasir::read_manifest(text, "default", {64 * 1024, 10'000, 100});
  if (!objects) return 0;
  if (objects->size() > 100) std::abort();
  for (const kvasir::ManifestObject& object : *objects) {
    const int answers = (object.object != nullptr ? 1 : 0) + (object.known ? 0 : 1) +
                        (object.problems.empty() ? 0 : 1);
    if (answers != 1) std::abort();
    for (const kvasir::Remark& problem : object.problems) {
      if (problem.line < 1 || problem.text.empty()) std::abort();
    }
  }
  return 0;
}
