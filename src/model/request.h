// What the scheduler knows of one inference request.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "model/endpoint.h"
#include "model/prompt_chains.h"
#include "model/prompt_view.h"

namespace kvasir {

// Names one request for the life of the process; 0 is no request.
using RequestId = uint64_t;

struct RequestHeader {
  std::string_view name;
  std::string_view value;
};

// What another process said of each endpoint, for the plugin of that name. By EndpointId; NaN, or beyond the end: nothing.
struct RemoteScores {
  std::string_view plugin;
  std::span<const double> by_endpoint;
};

// What of a request is to be placed.
enum class RequestPart : uint8_t {
  kWhole,     // the policy decides whether its prompt is prefilled apart
  kPrompt,    // its prompt alone: another endpoint decodes
  kAnswer,    // its answer alone: another endpoint has its prompt
  kTogether,  // both, on one endpoint
};

struct Request {
  RequestId id = 0;
  RequestPart part = RequestPart::kWhole;
  std::string_view model;
  // Prompt length in tokens: exact when the prompt came as ids, else estimated.
  uint32_t prompt_tokens = 0;
  // Length of the prompt in bytes; 0 when unknown.
  uint64_t prompt_bytes = 0;
  // The prompt in blocks, once for each block size that plugins asked for. See view().
  std::span<const PromptView> views;
  // Names are lower-case.
  std::span<const RequestHeader> headers;
  std::span<const RemoteScores> remote_scores = {};
  // The prompt by its token ids; empty unless somebody knows what engines hold.
  PromptChains chains = {};
  // What each endpoint's engine says that it holds of the prompt, by EndpointId; beyond the end, or
  // empty: nothing. See known_prefix().
  std::span<const CachedPrefix> cached = {};
  // Tenant of the request, for fairness; and its priority, higher first, negative may be shed.
  std::string_view fairness_id = "default-flow";
  int32_t priority = 0;
  // Whether the first token will be seen (a streamed answer) or only the end.
  bool first_token_visible = false;

  // The prompt in blocks of that size. Without blocks when there is no such view, as after a change
  // of the configuration while the request waited.
  PromptView view(BlockSize block) const {
    for (const PromptView& candidate : views) {
      if (candidate.block == block) return candidate;
    }
    return {block, {}};
  }

  // Null: nothing exact is known of that endpoint.
  const CachedPrefix* known_prefix(EndpointId endpoint) const {
    const uint32_t index = index_of(endpoint);
    return index < cached.size() && cached[index].known ? &cached[index] : nullptr;
  }

  // The value of the first header of that (lower-case) name; null when there is none.
  const std::string_view* header(std::string_view name) const {
    for (const RequestHeader& candidate : headers) {
      if (candidate.name == name) return &candidate.value;
    }
    return nullptr;
  }
};

}  // namespace kvasir
