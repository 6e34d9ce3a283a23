// A response cut into chunks at random is restored as if it came whole.
#include <algorithm>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "wire/request/model_restore.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  // The first byte cuts the target off the front, the second seeds the cuts.
  const size_t target_size = std::min<size_t>(data[0] % 8, size - 2);
  uint32_t cuts = data[1] + 1u;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string_view target = rest.substr(0, target_size);
  const std::string text = std::string(rest.substr(target_size));

  std::string whole, pieces;
  kvasir::ModelRestorer at_once(target, "incoming");
  at_once.feed(text, whole);
  at_once.flush(whole);

  kvasir::ModelRestorer cut(target, "incoming");
  for (size_t at = 0; at < text.size();) {
    cuts = cuts * 1664525u + 1013904223u;
    const size_t length = (cuts >> 24) % 9;
    cut.feed(std::string_view(text).substr(at, length), pieces);
    at += length;
  }
  cut.flush(pieces);
  KVASIR_ASSERT(whole == pieces, "the cuts make no difference");
  return 0;
}
