#include "wire/stream_chunks.h"
#include "worker/generation.h"

namespace kvasir {
namespace {

class StreamedGeneration final : public Generation {
 public:
  StreamedGeneration(HttpExchange& exchange, GenerationView view)
      : Generation(exchange, std::move(view)), chunks_(view_.head) {}

  void add(GenerationChoice& choice, const Choice::Step& step) override {
    open_chat(choice);
    ChunkDelta delta;
    delta.text = view_.hide_answer ? std::string_view() : step.text;
    delta.finish = step.finish ? &*step.finish : nullptr;
    const bool first = choice.answer.tokens() == 1;
    const GenerationPrompt& prompt = view_.prompts[choice.prompt];
    std::string opening;
    if (first && !prompt.echo.empty()) {
      opening = prompt.echo;
      opening.append(delta.text);
      delta.text = opening;
    }
    const auto logprobs = logprobs_of(choice, step);
    if (logprobs) delta.logprobs = &*logprobs;
    std::vector<TokenId> token_ids;
    if (view_.return_token_ids) {
      token_ids.push_back(step.token);
      delta.token_ids = &token_ids;
    }
    const bool completion = view_.head.kind == AnswerKind::kCompletion;
    if (first && completion && (view_.return_token_ids || view_.echo)) {
      delta.prompt_token_ids = &prompt.tokens;
    }
    const Usage so_far = usage_of(choice);
    if (view_.continuous_usage) delta.usage = &so_far;
    delta.last = finished() && !view_.include_usage;
    chunks_.append_delta(choice.index, delta, events_);
    choice.text_size += delta.text.size();
  }

  void flush() override {
    if (finished()) {
      if (view_.include_usage) chunks_.append_usage(usage(), events_);
      events_.append(kStreamEnd);
    }
    exchange_.write(events_);
    events_.clear();
    if (finished()) exchange_.finish();
  }

 private:
  // A chat begins with one chunk for each choice that names the role.
  void open_chat(const GenerationChoice& first) {
    if (opened_ || view_.head.kind != AnswerKind::kChat) return;
    opened_ = true;
    Usage none;
    none.prompt_tokens = view_.prompts[first.prompt].tokens.size();
    const Usage* counts = view_.continuous_usage ? &none : nullptr;
    for (const GenerationChoice& choice : choices()) {
      const GenerationPrompt& prompt = view_.prompts[choice.prompt];
      chunks_.append_role(choice.index, counts, view_.return_token_ids ? &prompt.tokens : nullptr,
                          events_);
    }
  }

  Usage usage_of(const GenerationChoice& choice) const {
    Usage counts;
    counts.prompt_tokens = view_.prompts[choice.prompt].tokens.size();
    counts.completion_tokens = choice.answer.tokens();
    return counts;
  }

  const StreamChunks chunks_;
  std::string events_;
  bool opened_ = false;
};

}  // namespace

std::unique_ptr<Generation> make_streamed_generation(HttpExchange& exchange, GenerationView view) {
  return std::make_unique<StreamedGeneration>(exchange, std::move(view));
}

}  // namespace kvasir
