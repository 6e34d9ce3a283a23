#include "worker/generation.h"

#include "worker/simulated_logprobs.h"

namespace kvasir {

Generation::Generation(HttpExchange& exchange, GenerationView view)
    : exchange_(exchange), view_(std::move(view)), rules_(view_.sampling) {
  const auto per_prompt = static_cast<uint32_t>(view_.sampling.n);
  choices_.reserve(view_.prompts.size() * per_prompt);
  for (size_t prompt = 0; prompt < view_.prompts.size(); ++prompt) {
    for (uint32_t i = 0; i < per_prompt; ++i) {
      choices_.emplace_back(rules_, static_cast<uint32_t>(choices_.size()), prompt);
    }
  }
  unfinished_ = choices_.size();
}

Usage Generation::usage() const {
  Usage usage;
  for (const GenerationPrompt& prompt : view_.prompts) usage.prompt_tokens += prompt.tokens.size();
  const auto per_prompt = static_cast<uint32_t>(view_.sampling.n);
  for (const GenerationChoice& choice : choices_) {
    usage.completion_tokens += choice.answer.tokens();
    if (choice.index % per_prompt == 0) usage.cached_tokens += choice.cached_tokens;
  }
  if (view_.cached_tokens) usage.cached_tokens = *view_.cached_tokens;
  return usage;
}

Finish Generation::shown_finish(const GenerationChoice& choice, const Finish& finish) const {
  const bool called = choice.planned && !choice.planned->calls.empty() &&
                      choice.shown >= choice.planned->calls.front().begin;
  if (!called || view_.plan->named() || finish.reason != "stop") return finish;
  return {"tool_calls", finish.stop_reason};
}

std::optional<std::vector<TokenLogprob>> Generation::logprobs_of(
    const GenerationChoice& choice, const AnswerChoice::Step& step) const {
  if (!view_.sampling.logprobs) return std::nullopt;
  const auto alternatives = static_cast<uint32_t>(*view_.sampling.logprobs);
  std::vector<TokenLogprob> logprobs;
  const bool first = choice.answer.tokens() == 1;
  if (first && view_.echo && view_.head.kind == AnswerKind::kCompletion) {
    logprobs = echoed_logprobs(choice.seed, view_.prompts[choice.prompt].tokens, alternatives);
  }
  if (!view_.hide_answer) {
    const uint32_t position = choice.answer.tokens() - 1;
    logprobs.push_back(
        simulated_logprob(choice.seed, position, step.token, alternatives, choice.text_size));
  }
  return logprobs;
}

}  // namespace kvasir
