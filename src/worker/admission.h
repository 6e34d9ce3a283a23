// Rows 9 to 16 of vLLM's checks (tests/vllm/README.md, section 2): from a request whose fields are
// sound to prompts of tokens that the engine takes, or the reason why not.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tokens/vocabulary.h"
#include "vllm/api_error.h"
#include "vllm/chat_request.h"
#include "vllm/completion_request.h"
#include "vllm/tokenize_request.h"
#include "worker/answer_plan.h"
#include "worker/served_model.h"

namespace kvasir {

struct AdmittedPrompt {
  std::vector<TokenId> tokens;
  uint32_t max_tokens = 1;  // lowered to what the context leaves
};

struct AdmittedRequest {
  std::vector<AdmittedPrompt> prompts;
  // echo with max_tokens 0: one token is made and not shown.
  bool hide_answer = false;
  // What the answers have to be; null: anything.
  std::shared_ptr<const AnswerPlan> plan = {};
  // Found so late that a stream is open by then: an event in it instead of a status. Then there are
  // no prompts.
  std::optional<ApiError> late_error;
};

// Prompt tokens of all choices of one request together; what a request can make the worker hold.
inline constexpr uint64_t kRequestTokensMax = 32 * 1024 * 1024;

// `data_parallel_rank`: the header of that name.
std::variant<AdmittedRequest, ApiError> admit(const CompletionRequest& request,
                                              const ServedModel& model,
                                              std::optional<std::string_view> data_parallel_rank);
std::variant<AdmittedRequest, ApiError> admit(const ChatRequest& request, const ServedModel& model,
                                              const ToolOptions& tools,
                                              std::optional<std::string_view> data_parallel_rank);

// Whether a request may name this model: an absent or empty name passes.
std::optional<ApiError> check_model(const std::optional<std::string>& name,
                                    const ServedModel& model);

// The tokens that /tokenize gives.
std::variant<std::vector<TokenId>, ApiError> admit(const TokenizeRequest& request,
                                                   const ServedModel& model);

}  // namespace kvasir
