#include "worker/generations.h"

#include <algorithm>
#include <set>

namespace kvasir {

// A generation with its place in the table, told when its client goes away.
class Generations::Running final : public HttpExchange::Observer {
 public:
  Running(Generations& owner, std::unique_ptr<Generation> generation)
      : owner_(owner), generation_(std::move(generation)) {
    generation_->exchange().set_observer(this);
  }

  Generation& generation() { return *generation_; }
  void on_client_gone() override { owner_.drop(*this); }

  bool touched = false;  // by the step at hand
  std::string adapter;   // its name; empty: the model itself

 private:
  Generations& owner_;
  const std::unique_ptr<Generation> generation_;
};

Generations::Generations(EventLoop& loop, Engine& engine, double time_scale, uint64_t seed,
                         WorkerMetrics& metrics, KvEventWriter* events)
    : engine_(engine),
      seed_(seed),
      metrics_(metrics),
      events_(events),
      engine_loop_(loop, engine, time_scale, *this) {}

Generations::~Generations() = default;

void Generations::start(std::unique_ptr<Generation> generation, const EngineFields& fields) {
  auto owned = std::make_unique<Running>(*this, std::move(generation));
  Running& running = *owned;
  running.adapter = fields.adapter;
  running_.emplace(&running, std::move(owned));
  const GenerationView& view = running.generation().view();
  const uint64_t sampling = hash_sampling(view.sampling);
  const auto per_prompt = static_cast<uint32_t>(view.sampling.n);
  for (GenerationChoice& choice : running.generation().choices()) {
    const GenerationPrompt& prompt = view.prompts[choice.prompt];
    choice.seed = answer_seed(seed_, prompt.tokens, sampling, choice.index % per_prompt);
    plan_answer(running.generation(), choice);
    SequenceRequest request;
    if (choice.planned) request.script = choice.planned->script;
    request.prompt = prompt.tokens;
    request.max_tokens = prompt.max_tokens;
    request.answer_seed = choice.seed;
    request.cache_salt = fields.cache_salt;
    request.priority = fields.priority;
    if (events_ != nullptr) {
      request.adapter = fields.adapter;
      request.salt_text = fields.salt_text;
    }
    choice.sequence = engine_loop_.submit(std::move(request));
    sequences_.emplace(static_cast<uint64_t>(choice.sequence), Sequence{&running, &choice});
  }
}

AdaptersAtWork Generations::adapters() const {
  const bool queue = engine_.stats().num_requests_waiting > 0;
  std::set<std::string> running, waiting;
  for (const auto& entry : running_) {
    if (entry.second->adapter.empty()) continue;
    for (const GenerationChoice& choice : entry.second->generation().choices()) {
      if (choice.finished) continue;
      const bool waits = queue && choice.answer.tokens() == 0;
      (waits ? waiting : running).insert(entry.second->adapter);
    }
  }
  return {{running.begin(), running.end()}, {waiting.begin(), waiting.end()}};
}

// The first kPlannedAnswersMost choices get answers of their own, further ones share them.
void Generations::plan_answer(Generation& generation, GenerationChoice& choice) {
  const AnswerPlan* plan = generation.view().plan.get();
  if (plan == nullptr) return;
  if (choice.index >= kPlannedAnswersMost) {
    choice.planned = generation.choices()[choice.index % kPlannedAnswersMost].planned;
  } else {
    choice.planned = std::make_shared<PlannedAnswer>(plan->answer(choice.seed));
  }
  choice.answer.keep_tokens();
}

void Generations::on_step(const std::vector<TokenEvent>& events, TimePoint now) {
  if (events_ != nullptr) events_->step_finished();
  metrics_.on_step(engine_.last_step_tokens(), engine_.stats().generation_tokens, now);
  for (const TokenEvent& event : events) take(event, now);
  for (const SequenceId sequence : cancelled_) engine_.cancel(sequence);
  cancelled_.clear();
  for (Running* running : touched_) {
    running->touched = false;
    Generation& generation = running->generation();
    const bool finished = generation.finished();
    generation.flush();
    if (!finished) continue;
    on_all_finished(generation);
    running_.erase(running);
  }
  touched_.clear();
}

void Generations::take(const TokenEvent& event, TimePoint now) {
  const auto found = sequences_.find(static_cast<uint64_t>(event.sequence));
  if (found == sequences_.end()) return;
  const Sequence sequence = found->second;
  GenerationChoice& choice = *sequence.choice;
  Generation& generation = sequence.running->generation();
  if (event.position == 0) {
    choice.cached_tokens = event.cached_tokens;
    metrics_.on_first_token(std::max(now - event.times.submitted, Duration::zero()));
  } else {
    metrics_.on_next_token(now - choice.last_token);
  }
  choice.times = event.times;
  choice.last_token = now;
  const AnswerChoice::Step step = choice.answer.add(event.token, event.finished);
  if (step.finish) {
    if (!event.finished) cancelled_.push_back(event.sequence);
    finish_choice(sequence, *step.finish, now);
    sequences_.erase(found);
  }
  generation.add(choice, step);
  if (sequence.running->touched) return;
  sequence.running->touched = true;
  touched_.push_back(sequence.running);
}

void Generations::finish_choice(const Sequence& sequence, const Finish& finish, TimePoint now) {
  Generation& generation = sequence.running->generation();
  GenerationChoice& choice = *sequence.choice;
  choice.finished = true;
  generation.on_choice_finished();
  const GenerationPrompt& prompt = generation.view().prompts[choice.prompt];
  FinishedSequence finished;
  finished.reason = finish.reason;
  finished.prompt_tokens = prompt.tokens.size();
  finished.cached_tokens = choice.cached_tokens;
  finished.generation_tokens = choice.answer.tokens();
  finished.max_tokens = prompt.max_tokens;
  finished.times = choice.times;
  finished.end = now;
  metrics_.on_finished(finished);
}

void Generations::on_all_finished(Generation& generation) {
  const auto per_prompt = static_cast<size_t>(generation.view().sampling.n);
  const std::vector<GenerationChoice>& choices = generation.choices();
  for (size_t first = 0; first < choices.size(); first += per_prompt) {
    uint64_t longest = 0;
    for (size_t i = first; i < first + per_prompt; ++i) {
      longest = std::max<uint64_t>(longest, choices[i].answer.tokens());
    }
    metrics_.on_prompt_finished(per_prompt, longest);
  }
  metrics_.on_request_over(true);
}

void Generations::drop(Running& running) {
  metrics_.on_request_over(false);
  for (const GenerationChoice& choice : running.generation().choices()) {
    if (choice.finished) continue;
    engine_loop_.cancel(choice.sequence);
    sequences_.erase(static_cast<uint64_t>(choice.sequence));
  }
  running_.erase(&running);
}

}  // namespace kvasir
