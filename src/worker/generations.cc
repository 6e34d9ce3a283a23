#include "worker/generations.h"

#include <algorithm>
#include <set>

#include "hashing/token_blocks.h"

namespace kvasir {

// The first choice of each prompt takes part in transfers for all of that prompt's: the others find
// the blocks in the prefix cache.
class Generations::Handover final : public KvTransfers::Client {
 public:
  Handover(Generations& owner, Running& running, GenerationChoice& choice)
      : owner_(owner), running_(running), choice_(choice), id_(owner.transfers_.begin(*this)) {}

  void plan(const KvRequest& about) { owner_.transfers_.plan(id_, about); }
  void leave() { owner_.transfers_.leave(id_); }
  void set_by_limit(bool by_limit) { by_limit_ = by_limit; }
  // The choice has made its last token.
  void end();

 private:
  void on_planned(const KvPlan& plan) override;
  void on_refused(const std::string& why) override;
  void on_loaded() override;
  void on_load_failed() override;
  void on_offered(const std::string& params) override;

  Generations& owner_;
  Running& running_;
  GenerationChoice& choice_;
  const KvRequestId id_;
  bool by_limit_ = false;
};

// A generation with its place in the table, told when its client goes away.
class Generations::Running final : public HttpExchange::Observer {
 public:
  Running(Generations& owner, std::unique_ptr<Generation> generation, EngineFields engine_fields)
      : fields(std::move(engine_fields)), owner_(owner), generation_(std::move(generation)) {
    sampling = hash_sampling(generation_->view().sampling);
    generation_->exchange().set_observer(this);
  }

  Generation& generation() { return *generation_; }
  size_t choices_per_prompt() const { return static_cast<size_t>(generation_->view().sampling.n); }
  // Of a choice that is the first of its prompt; nullptr: of another, or nothing travels.
  Handover* handover_of(const GenerationChoice& choice) {
    const bool first = !handovers.empty() && choice.index % choices_per_prompt() == 0;
    return first ? handovers[choice.prompt].get() : nullptr;
  }
  void on_client_gone() override { owner_.drop(*this); }

  const EngineFields fields;
  uint64_t sampling = 0;                             // hash of the sampling fields
  bool touched = false;                              // by the step at hand
  std::vector<std::unique_ptr<Handover>> handovers;  // one for each prompt; none: nothing travels
  size_t offers = 0;                                 // which its answer waits for

 private:
  Generations& owner_;
  const std::unique_ptr<Generation> generation_;
};

void Generations::Handover::on_planned(const KvPlan& plan) {
  SequenceRequest request = owner_.request_of(running_, choice_);
  request.remote_blocks = plan.remote_blocks;
  request.keep_blocks = plan.keeps;
  owner_.submit(running_, choice_, std::move(request));
  owner_.transfers_.submitted(id_, choice_.sequence);
  if (plan.remote_blocks == 0) owner_.submit_others(running_, choice_);
}

void Generations::Handover::on_refused(const std::string& why) {
  owner_.fail(running_, bad_request(std::nullopt, why));
}

void Generations::Handover::on_loaded() {
  owner_.submit_others(running_, choice_);
}

void Generations::Handover::on_load_failed() {
  owner_.metrics_.on_failed();
  owner_.fail(running_, internal_error("Internal server error"));
}

void Generations::Handover::end() {
  ++running_.offers;
  if (!owner_.transfers_.ended(id_, by_limit_, choice_.cached_tokens)) --running_.offers;
}

void Generations::Handover::on_offered(const std::string& params) {
  --running_.offers;
  // As in vLLM, those of the first prompt are the answer's.
  if (choice_.index == 0) running_.generation().set_transfer_params(params);
  if (!running_.touched && running_.generation().finished()) owner_.flush(running_);
}

Generations::Generations(EventLoop& loop, Engine& engine, uint32_t block_size, double time_scale,
                         uint64_t seed, WorkerMetrics& metrics, KvEventWriter* events)
    : engine_(engine),
      block_size_(block_size),
      seed_(seed),
      metrics_(metrics),
      events_(events),
      engine_loop_(loop, engine, time_scale, *this),
      transfers_(engine, engine_loop_) {}

Generations::~Generations() = default;

void Generations::start(std::unique_ptr<Generation> generation, EngineFields fields,
                        std::string_view transfer_params) {
  auto owned = std::make_unique<Running>(*this, std::move(generation), std::move(fields));
  Running& running = *owned;
  running_.emplace(&running, std::move(owned));
  if (transfers_.is_on()) return begin_handovers(running, transfer_params);
  for (GenerationChoice& choice : running.generation().choices()) {
    submit(running, choice, request_of(running, choice));
  }
}

// What a client says of blocks is of its first prompt: no other may be given those.
void Generations::begin_handovers(Running& running, std::string_view params) {
  const GenerationView& view = running.generation().view();
  std::vector<GenerationChoice>& choices = running.generation().choices();
  const size_t prompts = view.prompts.size();
  for (size_t prompt = 0; prompt < prompts; ++prompt) {
    GenerationChoice& first = choices[prompt * running.choices_per_prompt()];
    running.handovers.push_back(std::make_unique<Handover>(*this, running, first));
  }
  for (size_t prompt = 0; prompt < prompts; ++prompt) {
    const std::vector<TokenId>& tokens = view.prompts[prompt].tokens;
    const std::vector<BlockHash> blocks =
        hash_token_blocks(tokens, running.fields.cache_salt, block_size_);
    const bool first = prompt == 0;
    running.handovers[prompt]->plan({first ? std::string_view(view.head.id) : std::string_view(),
                                     first ? params : std::string_view(), tokens, blocks});
    if (running_.count(&running) == 0) return;  // refused
  }
}

SequenceRequest Generations::request_of(Running& running, GenerationChoice& choice) const {
  const GenerationPrompt& prompt = running.generation().view().prompts[choice.prompt];
  const EngineFields& fields = running.fields;
  choice.seed = answer_seed(seed_, prompt.tokens, running.sampling,
                            choice.index % static_cast<uint32_t>(running.choices_per_prompt()));
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
  return request;
}

void Generations::submit(Running& running, GenerationChoice& choice, SequenceRequest request) {
  choice.sequence = engine_loop_.submit(std::move(request));
  sequences_.emplace(static_cast<uint64_t>(choice.sequence), Sequence{&running, &choice});
}

// The other choices of that prompt.
void Generations::submit_others(Running& running, const GenerationChoice& first) {
  std::vector<GenerationChoice>& choices = running.generation().choices();
  for (size_t i = 1; i < running.choices_per_prompt(); ++i) {
    GenerationChoice& choice = choices[first.index + i];
    submit(running, choice, request_of(running, choice));
  }
}

AdaptersAtWork Generations::adapters() const {
  const bool queue = engine_.stats().num_requests_waiting > 0;
  std::set<std::string> running, waiting;
  for (const auto& entry : running_) {
    if (entry.second->fields.adapter.empty()) continue;
    for (const GenerationChoice& choice : entry.second->generation().choices()) {
      if (choice.finished) continue;
      const bool waits = queue && choice.answer.tokens() == 0;
      (waits ? waiting : running).insert(entry.second->fields.adapter);
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
  for (Handover* handover : ended_) handover->end();
  ended_.clear();
  for (Running* running : touched_) {
    running->touched = false;
    flush(*running);
  }
  touched_.clear();
}

void Generations::on_wanted(std::vector<WantedBlocks> wanted) {
  transfers_.on_wanted(std::move(wanted));
}

// Sends what there is; the end of the answer only when its blocks are offered.
void Generations::flush(Running& running) {
  Generation& generation = running.generation();
  const bool finished = generation.finished();
  if (finished && running.offers > 0) return;
  if (finished) count_answer(generation, 200);
  generation.flush();
  if (!finished) return;
  on_all_finished(generation);
  running_.erase(&running);
}

void Generations::count_answer(Generation& generation, int status) {
  const std::string_view handler = generation.view().handler;
  if (handler.empty()) return;
  metrics_.on_http(generation.exchange().head().method(), handler, status);
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
    if (Handover* handover = sequence.running->handover_of(choice)) {
      handover->set_by_limit(event.finished);
      ended_.push_back(handover);
    }
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

void Generations::fail(Running& running, const ApiError& error) {
  metrics_.on_request_over(false);
  count_answer(running.generation(), error.status);
  running.generation().fail(error);
  cancel_rest(running);
  running_.erase(&running);
}

void Generations::drop(Running& running) {
  metrics_.on_request_over(false);
  cancel_rest(running);
  running_.erase(&running);
}

void Generations::cancel_rest(Running& running) {
  for (const auto& handover : running.handovers) handover->leave();
  for (const GenerationChoice& choice : running.generation().choices()) {
    if (choice.finished) continue;
    engine_loop_.cancel(choice.sequence);
    sequences_.erase(static_cast<uint64_t>(choice.sequence));
  }
}

}  // namespace kvasir
