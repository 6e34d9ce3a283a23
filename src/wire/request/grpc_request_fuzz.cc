// Any bytes as a gRPC body of each service: read or refused, and what is read lies inside it.
#include <cstdint>

#include "base/assert.h"
#include "wire/request/grpc_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using kvasir::RequestApi;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  for (const RequestApi api : {RequestApi::kVllmGrpcGenerate, RequestApi::kVllmGrpcEmbed,
                               RequestApi::kVertexAiChat, RequestApi::kVertexAiResponses}) {
    const auto peek = kvasir::read_grpc_request(body, api);
    if (!peek || peek->prompt.empty()) continue;
    KVASIR_ASSERT(peek->prompt.data() >= body.data() &&
                      peek->prompt.data() + peek->prompt.size() <= body.data() + body.size(),
                  "the prompt is a view");
  }
  return 0;
}
