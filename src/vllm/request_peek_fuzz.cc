// Any bytes as a request of any API: what is found lies inside the body, the prompt that is made of
// it is not much longer, a model put into the place of the old one is found there, and nothing is
// refused in which Python would find an object.
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "wire/request/model_splice.h"
#include "wire/request/prompt_text.h"
#include "vllm/python_json.h"
#include "vllm/request_body.h"
#include "wire/request/request_peek.h"

namespace {

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

class ByteCounter final : public kvasir::PromptSink {
 public:
  void take(std::string_view piece) override { bytes += piece.size(); }
  size_t bytes = 0;
};

void check_prompt(const kvasir::RequestPeek& peek, std::string_view body) {
  KVASIR_ASSERT(inside(peek.prompt, body) && inside(peek.model_json, body),
                "views point into the body");
  for (const std::string_view field : peek.fields) {
    KVASIR_ASSERT(inside(field, body), "fields point into the body");
  }
  ByteCounter counter;
  write_prompt(peek, counter);
  KVASIR_ASSERT(counter.bytes <= 2 * body.size() + 64, "a prompt is about as long as its JSON");
}

void check_refusal(std::string_view body) {
  if (kvasir::may_hold_an_object(body)) return;
  const auto read = kvasir::parse_python_json(body);
  const auto* value = std::get_if<kvasir::JsonValue>(&read);
  KVASIR_ASSERT(value == nullptr || value->object() == nullptr, "what Python reads is not refused");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto api = static_cast<kvasir::RequestApi>(data[0] % 11);
  const std::string_view body(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto peek = kvasir::peek_request(body, api);
  if (!peek) {
    check_refusal(body);
    return 0;
  }
  check_prompt(*peek, body);
  const std::string spliced =
      whole(kvasir::splice_model(body, peek->model_json, "new \"model\""), 64);
  const auto again = kvasir::peek_request(spliced, api);
  KVASIR_ASSERT(again && again->model == "new \"model\"", "the new model is there");
  return 0;
}
