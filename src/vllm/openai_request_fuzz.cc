// Bodies of requests to every endpoint that reads one. The first byte chooses the endpoint.
#include <cstdint>
#include <string_view>

#include "vllm/chat_request.h"
#include "vllm/completion_request.h"
#include "vllm/tokenize_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr std::string_view kType = "application/json";
  switch (data[0] % 4) {
    case 0:
      kvasir::parse_completion_request(kType, body);
      break;
    case 1:
      kvasir::parse_chat_request(kType, body);
      break;
    case 2:
      kvasir::parse_tokenize_request(kType, body);
      break;
    default:
      kvasir::parse_detokenize_request(kType, body);
      break;
  }
  return 0;
}
