// The messages of a chat, in a body that is sound around them.
#include <cstdint>
#include <string>

#include "vllm/chat_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string body =
      "{\"messages\":" + std::string(reinterpret_cast<const char*>(data), size) + "}";
  const auto parsed = kvasir::parse_chat_request("application/json", body);
  if (const auto* request = std::get_if<kvasir::ChatRequest>(&parsed)) {
    kvasir::chat_prompt(request->messages, request->prompt_end);
  }
  return 0;
}
