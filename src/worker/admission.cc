#include "worker/admission.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "hashing/token_blocks.h"
#include "vllm/python_json.h"

namespace kvasir {
namespace {

using MaybeError = std::optional<ApiError>;

ApiError refused(const std::string& param, std::string message, const std::string& value) {
  message.append(" (parameter=").append(param).append(", value=").append(value).append(")");
  return bad_request(param, std::move(message));
}

ApiError prompt_too_long(const ServedModel& model, const std::string& count, uint64_t value) {
  return refused(
      "input_tokens",
      "This model's maximum context length is " + std::to_string(model.max_model_len) +
          " tokens. However, your prompt contains " + count +
          " input tokens, which exceeds this limit even without any output tokens. Please "
          "reduce the length of the input prompt.",
      std::to_string(value));
}

// Row 11.
MaybeError check_token_limits(const GenerationRequest& request, const ServedModel& model) {
  const WideInt limit = model.max_model_len;
  if (request.max_tokens.value_or(0) > limit) {
    const std::string value = to_text(*request.max_tokens);
    return refused(request.max_tokens_param,
                   request.max_tokens_param + "=" + value +
                       " cannot be greater than max_model_len=" + to_text(limit) +
                       ". Please request fewer output tokens.",
                   value);
  }
  if (request.truncate_prompt_tokens.value_or(0) > limit) {
    const std::string value = to_text(*request.truncate_prompt_tokens);
    return refused("truncate_prompt_tokens",
                   "truncate_prompt_tokens=" + value +
                       " cannot be greater than max_model_len=" + to_text(limit) + ".",
                   value);
  }
  return std::nullopt;
}

void truncate(const GenerationRequest& request, const ServedModel& model,
              std::vector<TokenId>& tokens) {
  if (!request.truncate_prompt_tokens) return;
  WideInt kept = *request.truncate_prompt_tokens;
  if (kept < 0) kept = model.max_model_len - std::max<WideInt>(request.max_tokens.value_or(1), 1);
  kept = std::max<WideInt>(kept, 0);
  if (kept >= static_cast<WideInt>(tokens.size())) return;
  const auto dropped = static_cast<std::ptrdiff_t>(tokens.size() - static_cast<size_t>(kept));
  if (request.truncate_right) {
    tokens.resize(static_cast<size_t>(kept));
  } else {
    tokens.erase(tokens.begin(), tokens.begin() + dropped);
  }
}

// Rows 13 and 14 for a text.
std::variant<std::vector<TokenId>, ApiError> tokenize(const std::string& text,
                                                      const GenerationRequest& request,
                                                      const ServedModel& model) {
  const size_t characters_max = size_t{model.max_model_len} * kEndOfSequenceText.size();
  if (text.size() > characters_max && count_characters(text) > characters_max) {
    return refused("input_text",
                   "This model's maximum context length is " + std::to_string(model.max_model_len) +
                       " tokens. However, your text is longer than that can be.",
                   std::to_string(count_characters(text)));
  }
  if (has_lone_surrogate(text)) {
    return bad_request(
        std::nullopt,
        "TextEncodeInput must be Union[TextInputSequence, Tuple[InputSequence, InputSequence]]");
  }
  std::vector<TokenId> tokens = encode(text);
  truncate(request, model, tokens);
  if (tokens.size() > model.max_model_len) {
    const uint64_t least = uint64_t{model.max_model_len} + 1;
    return prompt_too_long(model, "at least " + std::to_string(least), least);
  }
  return tokens;
}

std::variant<std::vector<TokenId>, ApiError> tokens_of(const Prompt& prompt,
                                                       const GenerationRequest& request,
                                                       const ServedModel& model) {
  if (const std::string* text = std::get_if<std::string>(&prompt))
    return tokenize(*text, request, model);
  std::vector<TokenId> tokens = std::get<std::vector<uint32_t>>(prompt);
  truncate(request, model, tokens);
  if (tokens.size() > model.max_model_len) {
    return prompt_too_long(model, std::to_string(tokens.size()), tokens.size());
  }
  return tokens;
}

// Row 15 for one prompt: its max_tokens, or why not.
std::variant<uint32_t, ApiError> sampled_tokens(const GenerationRequest& request, bool hide_answer,
                                                size_t prompt_tokens, const ServedModel& model) {
  const WideInt room =
      static_cast<WideInt>(model.max_model_len) - static_cast<WideInt>(prompt_tokens);
  WideInt max_tokens = std::min(request.max_tokens.value_or(room), room);
  if (hide_answer) max_tokens = 1;
  if (auto error = check_sampling(request.sampling, max_tokens)) return std::move(*error);
  return static_cast<uint32_t>(max_tokens);
}

MaybeError check_data_parallel_rank(std::optional<std::string_view> header) {
  if (!header) return std::nullopt;
  int64_t rank = 0;
  const auto [end, failure] =
      std::from_chars(header->data(), header->data() + header->size(), rank);
  if (failure != std::errc() || end != header->data() + header->size() || rank == 0)
    return std::nullopt;
  return bad_request(std::nullopt,
                     "data_parallel_rank " + std::to_string(rank) + " is out of range [0, 1).");
}

// `cut`: what the largest id of all stood for, where it did not fit into a token.
std::string id_as_sent(TokenId id, WideInt cut) {
  if (id < std::numeric_limits<TokenId>::max() || cut == 0) return std::to_string(id);
  return to_text(cut) + (cut < kWidest ? "" : " or larger");
}

MaybeError check_prompt_tokens(const AdmittedPrompt& prompt, WideInt cut,
                               const ServedModel& model) {
  if (prompt.tokens.empty()) return bad_request(std::nullopt, "The decoder prompt cannot be empty");
  if (prompt.tokens.size() + prompt.max_tokens > model.max_model_len) {
    return bad_request(std::nullopt,
                       "The decoder prompt is as long as the maximum model length of " +
                           std::to_string(model.max_model_len) + ".");
  }
  const TokenId largest = *std::max_element(prompt.tokens.begin(), prompt.tokens.end());
  if (largest >= kVocabularySize) {
    return bad_request(std::nullopt,
                       "Token id " + id_as_sent(largest, cut) + " is out of vocabulary");
  }
  return std::nullopt;
}

// Row 16.
MaybeError check_late(const GenerationRequest& request, const AdmittedRequest& admission,
                      WideInt cut, const ServedModel& model,
                      std::optional<std::string_view> data_parallel_rank) {
  if (auto error = check_engine_input(request.sampling, kVocabularySize)) return error;
  if (auto error = check_data_parallel_rank(data_parallel_rank)) return error;
  for (const AdmittedPrompt& prompt : admission.prompts) {
    if (auto error = check_prompt_tokens(prompt, cut, model)) return error;
  }
  if (request.sampling.top_k > kUint64Max) return internal_error("");
  return std::nullopt;
}

MaybeError check_total(const GenerationRequest& request, const AdmittedRequest& admission) {
  uint64_t tokens = 0;
  for (const AdmittedPrompt& prompt : admission.prompts) tokens += prompt.tokens.size();
  if (tokens * static_cast<uint64_t>(request.sampling.n) <= kRequestTokensMax) return std::nullopt;
  return refused(
      "n",
      "all choices together hold more than " + std::to_string(kRequestTokensMax) + " prompt tokens",
      to_text(request.sampling.n));
}

// Rows 15 and 16 for prompts that are tokens.
std::variant<AdmittedRequest, ApiError> admit_prompts(
    const GenerationRequest& request, std::vector<std::vector<TokenId>> prompts,
    WideInt cut_token_id, Result<std::shared_ptr<const AnswerPlan>> plan, bool hide_answer,
    const ServedModel& model, std::optional<std::string_view> data_parallel_rank) {
  AdmittedRequest admission;
  admission.hide_answer = hide_answer;
  for (std::vector<TokenId>& tokens : prompts) {
    auto max_tokens = sampled_tokens(request, hide_answer, tokens.size(), model);
    if (ApiError* error = std::get_if<ApiError>(&max_tokens)) return std::move(*error);
    admission.prompts.push_back({std::move(tokens), std::get<uint32_t>(max_tokens)});
  }
  if (auto error = check_total(request, admission)) return std::move(*error);
  if (plan) {
    admission.plan = std::move(*plan);
  } else {
    admission.late_error = bad_request(std::nullopt, plan.error().message);
  }
  auto late_error = check_late(request, admission, cut_token_id, model, data_parallel_rank);
  if (late_error) admission.late_error = std::move(late_error);
  if (admission.late_error) admission.prompts.clear();
  return admission;
}

MaybeError check_messages(const std::vector<ChatMessage>& messages,
                          const MaybeError& content_problem) {
  if (messages.empty()) {
    return bad_request(
        std::nullopt,
        "Cannot apply chat template to an empty conversation. Provide at least one message.");
  }
  return content_problem;
}

}  // namespace

MaybeError check_model(const std::optional<std::string>& name, const ServedModel& model) {
  if (!name || name->empty()) return std::nullopt;
  if (std::find(model.names.begin(), model.names.end(), *name) != model.names.end())
    return std::nullopt;
  if (model.adapter(*name) != nullptr) return std::nullopt;
  std::string message = "The model `" + *name + "` does not exist. Valid aliases: ";
  for (const std::string& alias : model.names) {
    message.append(alias).append(&alias == &model.names.back() ? "." : ", ");
  }
  return ApiError{404, ApiError::Shape::kError, std::string(kNotFoundType), "model",
                  std::move(message)};
}

std::variant<AdmittedRequest, ApiError> admit(const CompletionRequest& request,
                                              const ServedModel& model,
                                              std::optional<std::string_view> data_parallel_rank) {
  const GenerationRequest& generation = request.generation;
  if (auto error = check_model(generation.model, model)) return std::move(*error);
  if (request.has_suffix) {
    return bad_request("suffix", "suffix is not currently supported (parameter=suffix)");
  }
  if (auto error = check_token_limits(generation, model)) return std::move(*error);
  if (request.has_prompt_embeds) {
    return bad_request("prompt_embeds",
                       "You must set `--enable-prompt-embeds` to input `prompt_embeds`. "
                       "(parameter=prompt_embeds)");
  }
  if (request.prompts.empty())
    return bad_request(std::nullopt, "You must pass at least one prompt");
  std::vector<std::vector<TokenId>> prompts;
  for (const Prompt& prompt : request.prompts) {
    auto tokens = tokens_of(prompt, generation, model);
    if (ApiError* error = std::get_if<ApiError>(&tokens)) return std::move(*error);
    prompts.push_back(std::get<std::vector<TokenId>>(std::move(tokens)));
  }
  const bool hide_answer = generation.echo && generation.max_tokens == WideInt{0};
  return admit_prompts(generation, std::move(prompts), request.cut_token_id,
                       AnswerPlan::for_constraint(generation.constraint), hide_answer, model,
                       data_parallel_rank);
}

std::variant<AdmittedRequest, ApiError> admit(const ChatRequest& request, const ServedModel& model,
                                              const ToolOptions& tools,
                                              std::optional<std::string_view> data_parallel_rank) {
  const GenerationRequest& generation = request.generation;
  if (auto error = check_model(generation.model, model)) return std::move(*error);
  if (auto error = check_tools(request, tools)) return std::move(*error);
  if (request.has_chat_template) {
    return bad_request(
        std::nullopt,
        "Chat template is passed with request, but --trust-request-chat-template is not set.");
  }
  if (auto error = check_token_limits(generation, model)) return std::move(*error);
  if (auto error = check_messages(request.messages, request.content_problem))
    return std::move(*error);
  auto tokens = tokenize(chat_prompt(request.messages, request.prompt_end, request.tools_text),
                         generation, model);
  if (ApiError* error = std::get_if<ApiError>(&tokens)) return std::move(*error);
  std::vector<std::vector<TokenId>> prompts;
  prompts.push_back(std::get<std::vector<TokenId>>(std::move(tokens)));
  Result<std::shared_ptr<const AnswerPlan>> plan =
      AnswerPlan::for_tools(request, hash_token_block(0, prompts.front()));
  if (plan && !*plan) plan = AnswerPlan::for_constraint(generation.constraint);
  return admit_prompts(generation, std::move(prompts), 0, std::move(plan), false, model,
                       data_parallel_rank);
}

std::variant<std::vector<TokenId>, ApiError> admit(const TokenizeRequest& request,
                                                   const ServedModel& model) {
  if (auto error = check_model(request.model, model)) return std::move(*error);
  if (request.prompt) {
    if (has_lone_surrogate(*request.prompt))
      return bad_request(std::nullopt, "the prompt is no text");
    return encode(*request.prompt);
  }
  if (auto error = check_messages(request.messages, request.content_problem))
    return std::move(*error);
  return encode(chat_prompt(request.messages, request.prompt_end, request.tools_text));
}

}  // namespace kvasir
