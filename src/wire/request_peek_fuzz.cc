// Any bytes as a request of any API: what is found lies inside the body, and a model put into the
// place of the old one is found there.
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "wire/model_splice.h"
#include "wire/request_peek.h"

namespace {

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static kvasir::RequestPeeker peeker;
  if (size == 0) return 0;
  const auto api = static_cast<kvasir::RequestApi>(data[0] % 10);
  std::string padded(reinterpret_cast<const char*>(data + 1), size - 1);
  padded.append(64, '\0');
  const std::string_view body = std::string_view(padded).substr(0, size - 1);
  const auto peek = peeker.peek(body, api);
  if (!peek) return 0;
  KVASIR_ASSERT(inside(peek->prompt, body) && inside(peek->prompt_head, body) &&
                    inside(peek->model_json, body),
                "views point into the body");
  std::string spliced = whole(kvasir::splice_model(body, peek->model_json, "new \"model\""), 64);
  const size_t spliced_size = spliced.size();
  spliced.append(64, '\0');
  const auto again = peeker.peek(std::string_view(spliced).substr(0, spliced_size), api);
  KVASIR_ASSERT(again && again->model == "new \"model\"", "the new model is there");
  return 0;
}
