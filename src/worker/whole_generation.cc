#include <algorithm>

#include "vllm/openai_response.h"
#include "worker/generation.h"
#include "worker/simulated_logprobs.h"

namespace kvasir {
namespace {

class WholeGeneration final : public Generation {
 public:
  WholeGeneration(HttpExchange& exchange, GenerationView view)
      : Generation(exchange, std::move(view)), answers_(choices().size()) {
    for (const GenerationChoice& choice : choices()) open(choice);
  }

  void add(GenerationChoice& choice, const AnswerChoice::Step& step) override {
    ChoiceAnswer& answer = answers_[choice.index];
    choice.text_size = answer.text.size();
    if (!view_.hide_answer) answer.text.append(step.text);
    if (auto logprobs = logprobs_of(choice, step)) {
      if (!answer.logprobs) answer.logprobs.emplace();
      answer.logprobs->insert(answer.logprobs->end(), logprobs->begin(), logprobs->end());
    }
    if (answer.token_ids) answer.token_ids->push_back(step.token);
    choice.shown += step.text.size();
    if (!step.finish) return;
    answer.finish = shown_finish(choice, *step.finish);
    if (choice.planned) take_calls(choice, answer);
    add_prompt_logprobs(choice, answer);
  }

  void flush() override {
    if (!finished()) return;
    const std::string body =
        view_.head.kind == AnswerKind::kChat
            ? chat_answer(view_.head, answers_, usage(), transfer_params_)
            : completion_answer(view_.head, answers_, usage(), transfer_params_);
    exchange_.respond(200, kJsonFields, body);
  }

  void fail(const ApiError& error) override {
    exchange_.respond(error.status, kJsonFields, error_body(error));
  }

 private:
  void open(const GenerationChoice& choice) {
    ChoiceAnswer& answer = answers_[choice.index];
    const GenerationPrompt& prompt = view_.prompts[choice.prompt];
    answer.index = choice.index;
    answer.text = prompt.echo;
    if (!view_.return_token_ids) return;
    answer.token_ids.emplace();
    answer.prompt_token_ids = prompt.tokens;
  }

  // The calls whose names were written, instead of the text that they were written in.
  void take_calls(const GenerationChoice& choice, ChoiceAnswer& answer) const {
    const PlannedAnswer& planned = *choice.planned;
    for (const PlannedCall& call : planned.calls) {
      if (choice.shown < call.begin) break;
      const size_t end = std::min(choice.shown, call.end);
      answer.tool_calls.push_back(
          {call.id, call.name, planned.text.substr(call.begin, end - call.begin)});
    }
    if (answer.tool_calls.empty()) return;
    answer.text.clear();
    answer.null_content = view_.plan->automatic();
  }

  // They are asked for, or come with an echo: of a chat always, of a completion with its logprobs.
  void add_prompt_logprobs(const GenerationChoice& choice, ChoiceAnswer& answer) const {
    const bool chat = view_.head.kind == AnswerKind::kChat;
    const bool echoed = view_.echo && (chat || view_.sampling.logprobs);
    if (!view_.sampling.prompt_logprobs && !echoed) return;
    const WideInt wanted =
        view_.sampling.prompt_logprobs.value_or(view_.sampling.logprobs.value_or(0));
    answer.prompt_logprobs = simulated_prompt_logprobs(
        choice.seed, view_.prompts[choice.prompt].tokens, static_cast<uint32_t>(wanted));
  }

  std::vector<ChoiceAnswer> answers_;
};

}  // namespace

std::unique_ptr<Generation> make_whole_generation(HttpExchange& exchange, GenerationView view) {
  return std::make_unique<WholeGeneration>(exchange, std::move(view));
}

}  // namespace kvasir
