// One request for an answer while the engine works on it: its sequences, and how what they make is
// written to the client, chunk by chunk or at the end.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "net/http/http_server.h"
#include "vllm/answer_parts.h"
#include "vllm/api_error.h"
#include "vllm/generation_request.h"
#include "worker/answer_choice.h"
#include "worker/answer_plan.h"

namespace kvasir {

// A prompt with what is shown of it.
struct GenerationPrompt {
  std::vector<TokenId> tokens;
  uint32_t max_tokens = 1;
  std::string echo;  // opens the answer
};

// What the client asked to see.
struct GenerationView {
  AnswerHead head;
  std::vector<GenerationPrompt> prompts;
  SamplingFields sampling;
  bool include_usage = false;
  bool continuous_usage = false;
  bool return_token_ids = false;
  bool echo = false;
  bool hide_answer = false;  // the tokens are made and not shown
  std::shared_ptr<const AnswerPlan> plan = {};  // null: the answers are free
  // What the usage says instead of the tokens that were cached here: a prefiller's count.
  std::optional<uint64_t> cached_tokens = {};
  // Its name in the metrics, counted with the answer; empty: it was counted.
  std::string_view handler = {};
};

// One sequence of a generation.
struct GenerationChoice {
  GenerationChoice(const StopRules& rules, uint32_t choice_index, size_t prompt_index)
      : answer(rules), index(choice_index), prompt(prompt_index) {}

  AnswerChoice answer;
  const uint32_t index;  // over all prompts
  const size_t prompt;   // which one
  SequenceId sequence{};
  uint64_t seed = 0;
  std::shared_ptr<const PlannedAnswer> planned;  // null: the answer is free
  size_t shown = 0;                              // bytes of the planned text
  uint32_t cached_tokens = 0;
  size_t text_size = 0;  // of the answer so far, the echo included
  bool finished = false;
  SequenceTimes times;
  TimePoint last_token{};
};

class Generation {
 public:
  Generation(HttpExchange& exchange, GenerationView view);
  virtual ~Generation() = default;
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  HttpExchange& exchange() { return exchange_; }
  const GenerationView& view() const { return view_; }
  // In order of their index; they do not move.
  std::vector<GenerationChoice>& choices() { return choices_; }

  // Takes what a token adds to `choice`, whose counts are up to date.
  virtual void add(GenerationChoice& choice, const AnswerChoice::Step& step) = 0;
  // Sends what the step added. After the last choice ended the answer is complete.
  virtual void flush() = 0;
  // There will be no answer. Nothing follows.
  virtual void fail(const ApiError& error) = 0;

  // The answer's kv_transfer_params, JSON; empty: null. Streams do not show them.
  void set_transfer_params(std::string params) { transfer_params_ = std::move(params); }

  bool finished() const { return unfinished_ == 0; }
  void on_choice_finished() { --unfinished_; }

 protected:
  // The counts of the whole answer so far.
  Usage usage() const;
  // Why the choice ended, as the API calls it: an answer that calls tools and was not forced to call a
  // certain one ends with "tool_calls".
  Finish shown_finish(const GenerationChoice& choice, const Finish& finish) const;
  std::optional<std::vector<TokenLogprob>> logprobs_of(const GenerationChoice& choice,
                                                       const AnswerChoice::Step& step) const;

  HttpExchange& exchange_;
  const GenerationView view_;
  std::string transfer_params_;

 private:
  const StopRules rules_;
  std::vector<GenerationChoice> choices_;
  size_t unfinished_;
};

// Writes server-sent events, all of one step in one piece.
std::unique_ptr<Generation> make_streamed_generation(HttpExchange& exchange, GenerationView view);
// Writes one JSON object when everything is there.
std::unique_ptr<Generation> make_whole_generation(HttpExchange& exchange, GenerationView view);

// Header lines of the two kinds of answer.
inline constexpr std::string_view kJsonFields =
    "Content-Type: application/json\r\nVary: Origin\r\n";
inline constexpr std::string_view kStreamFields =
    "Content-Type: text/event-stream; charset=utf-8\r\nVary: Origin\r\n";

}  // namespace kvasir
