// Whatever a body is: what engines are asked about it is JSON when the body is. Whatever an answer
// is: no more tokens than the limit.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/assert.h"
#include "wire/request/token_question.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvasir;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const RequestApi api : {RequestApi::kCompletions, RequestApi::kChatCompletions}) {
    const std::optional<RequestPeek> peek = peek_request(text, api);
    if (!peek) continue;
    const std::optional<TokenQuestion> question = TokenQuestion::read(*peek, text);
    if (!question) continue;
    static_cast<void>(question->has_media());
    const bool is_json = nlohmann::json::accept(text);
    KVASIR_ASSERT(!is_json || nlohmann::json::accept(question->tokenize_body("m")),
                  "JSON is asked");
    KVASIR_ASSERT(!is_json || nlohmann::json::accept(question->render_body("m")), "JSON is asked");
  }
  std::vector<uint32_t> ids;
  if (read_engine_tokens(text, 100, ids) == EngineTokens::kOne) {
    KVASIR_ASSERT(ids.size() <= 100, "no more than the limit");
  }
  return 0;
}
