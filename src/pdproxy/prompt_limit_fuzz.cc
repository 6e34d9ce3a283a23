// Any body and any answer of /tokenize: what is asked about a body is JSON when the body is, and
// nothing is asked about one that is known to fit.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "net/io/byte_buffer.h"
#include "pdproxy/prompt_limit.h"
#include "wire/json/json_value.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvasir;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string padded(text);
  padded.append(ByteBuffer::kReadablePadding, ' ');
  const std::string_view body = std::string_view(padded).substr(0, size);
  for (const RequestApi api :
       {RequestApi::kCompletions, RequestApi::kChatCompletions, RequestApi::kResponses,
        RequestApi::kAnthropicMessages, RequestApi::kVllmGenerate}) {
    for (const uint32_t most : {0u, 8u, 2048u}) {
      const PromptLimit limit = check_prompt(api, body, most);
      KVASIR_ASSERT(most != 0 || limit.fit == PromptFit::kFits, "no limit");
      KVASIR_ASSERT((limit.fit == PromptFit::kToBeCounted) == !limit.question.empty(), "asked");
      KVASIR_ASSERT(limit.question.empty() || !is_json(body) || is_json(limit.question), "JSON");
    }
  }
  static_cast<void>(counted_tokens(text));
  return 0;
}
