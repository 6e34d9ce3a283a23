// Requests of inference services that speak gRPC, as their bodies hold them: one frame with one
// protobuf message.
#pragma once

#include <string_view>

#include "base/result.h"
#include "wire/request/request_peek.h"

namespace kvasir {

// Whether its bodies are frames of gRPC. Such a request is not refused for want of a model, and the
// model that it names is not rewritten: nobody could put it back.
bool is_grpc(RequestApi api);

// As read_request(), for an api that is_grpc(). Of vLLM's own service, vllm.grpc.engine.VllmEngine,
// the prompt is a text, or token ids as their varints stand in the message, and there is no model.
// Vertex AI's PredictionService carries JSON, which is read as that of OpenAI's APIs.
Result<RequestPeek> read_grpc_request(std::string_view body, RequestApi api);

}  // namespace kvasir
