// token-producer (deprecated name: tokenizer): which tokens the prompt has.
//
// Formula: a prompt that came as token ids has these; of any other the service at vllm.url is asked
//   (POST /v1/completions/render or /v1/chat/completions/render), and what it says is remembered.
//   Without vllm and modelName nobody is asked by this plugin: then tokens come from --tokenizer or
//   the engines, as far as somebody needs them. A prompt whose tokens are not known in time is
//   estimated by its bytes.
// Intent: precise-prefix-cache-producer finds a prompt by its tokens.
// Inputs: the request's body. The tokens are there before any plugin runs.
// Parameters: vllm {url (http://localhost:8000), timeout (250ms; upstream 5s, which a slow service
//   adds to every request)}, modelName (the request's own; when it is given, vllm is too). Accepted
//   without effect, which is told at start: vllm.mmTimeout, estimate, udsTokenizerConfig.
//
//   - type: token-producer
//     parameters: {modelName: meta-llama/Llama-3.1-8B, vllm: {url: "http://render:8000"}}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType token_producer_plugin();
PluginType tokenizer_plugin();

}  // namespace kvasir
