#include <algorithm>

#include "vllm/stream_chunks.h"
#include "worker/generation.h"

namespace kvasir {
namespace {

class StreamedGeneration final : public Generation {
 public:
  StreamedGeneration(HttpExchange& exchange, GenerationView view)
      : Generation(exchange, std::move(view)), chunks_(view_.head) {}

  void add(GenerationChoice& choice, const AnswerChoice::Step& step) override {
    open_chat(choice);
    ChunkDelta delta;
    delta.text = view_.hide_answer ? std::string_view() : step.text;
    std::vector<ToolCallDelta> calls;
    if (choice.planned && !choice.planned->calls.empty()) {
      calls = calls_in(*choice.planned, choice.shown, step.text.size());
      delta.tool_calls = &calls;
    }
    choice.shown += step.text.size();
    std::optional<Finish> finish;
    if (step.finish) finish = shown_finish(choice, *step.finish);
    delta.finish = finish ? &*finish : nullptr;
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
    const bool nothing = delta.tool_calls != nullptr && calls.empty() && !finish && !logprobs &&
                         !view_.return_token_ids && !view_.continuous_usage;
    if (nothing) return;  // the markup around a call
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

  void fail(const ApiError& error) override {
    events_.append(error_event(error)).append(kStreamEnd);
    exchange_.write(events_);
    exchange_.finish();
  }

 private:
  // What `size` bytes of a planned text from `from` on tell of its calls.
  static std::vector<ToolCallDelta> calls_in(const PlannedAnswer& planned, size_t from,
                                             size_t size) {
    std::vector<ToolCallDelta> deltas;
    const size_t to = from + size;
    for (size_t i = 0; i < planned.calls.size(); ++i) {
      const PlannedCall& call = planned.calls[i];
      ToolCallDelta delta;
      delta.index = static_cast<uint32_t>(i);
      if (from < call.begin && to >= call.begin) {
        delta.id = &call.id;
        delta.name = &call.name;
      }
      const size_t begin = std::max(from, call.begin);
      const size_t end = std::min(to, call.end);
      if (begin < end) delta.arguments = std::string_view(planned.text).substr(begin, end - begin);
      if (delta.id != nullptr || !delta.arguments.empty()) deltas.push_back(delta);
    }
    return deltas;
  }

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
