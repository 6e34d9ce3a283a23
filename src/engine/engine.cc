#include "engine/engine.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "base/assert.h"
#include "engine/batcher.h"

namespace kvasir {

class Engine::State {
 public:
  State(const EngineProfile& profile, const EngineOptions& options, KvEventSink* events)
      : profile_(profile),
        model_(profile.step),
        has_memory_(options.memory != nullptr),
        batcher_(profile, options, events) {}

  Result<void> check(uint64_t prompt_tokens, uint32_t max_tokens) const;
  SequenceId submit(SequenceRequest request, TimePoint now);
  void cancel(SequenceId id);
  std::optional<Duration> start_step(TimePoint now);
  const std::vector<TokenEvent>& finish_step(TimePoint now);

  bool step_running() const { return step_running_; }
  uint32_t last_step_tokens() const { return last_step_tokens_; }
  EngineStats stats() const;
  size_t cached_blocks(std::span<const BlockHash> chain) const {
    const BlockPool& pool = batcher_.cache().pool();
    size_t blocks = 0;
    while (blocks < chain.size() && pool.find(chain[blocks]) != kNoBlock) ++blocks;
    return blocks;
  }
  bool step_waits() const { return step_running_ && batcher_.step_waits(); }
  const KeptBlocks* kept(SequenceId id) const;
  void release_kept(SequenceId id);
  std::vector<WantedBlocks> take_wanted() { return batcher_.take_wanted(); }
  void arriving(SequenceId id);
  void arrived(SequenceId id, uint32_t blocks);
  bool reset_prefix_cache() { return batcher_.cache().forget_prefixes(); }
  std::vector<BlockHash> cached_hashes() const { return batcher_.cache().pool().hashes(); }
  bool consistent() const;

 private:
  double load_seconds() const;
  // What finish_step() does with one running sequence; false: it leaves.
  bool advance(Sequence& sequence, TimePoint now);
  void make_token(Sequence& sequence, TimePoint now);
  TokenId next_token(const Sequence& sequence) const;

  const EngineProfile profile_;
  const StepModel model_;
  const bool has_memory_;
  Batcher batcher_;
  std::unordered_map<uint64_t, std::unique_ptr<Sequence>> sequences_;
  std::unordered_map<uint64_t, KeptBlocks> kept_;
  std::vector<TokenEvent> events_;
  std::vector<SequenceId> gone_;  // left in the step that just finished
  EngineStats totals_;            // the gauges in it are not kept up to date
  uint64_t last_id_ = 0;
  uint32_t last_step_tokens_ = 0;
  bool step_running_ = false;
};

Result<void> Engine::State::check(uint64_t prompt_tokens, uint32_t max_tokens) const {
  if (prompt_tokens == 0) return Error{"the prompt is empty"};
  if (max_tokens == 0) return Error{"the answer needs at least one token"};
  const auto too_long = [&](uint64_t limit, const std::string& of) {
    return Error{std::to_string(prompt_tokens) + " prompt tokens and up to " +
                 std::to_string(max_tokens) + " answer tokens are more than the " +
                 std::to_string(limit) + " tokens of " + of};
  };
  if (prompt_tokens > profile_.max_model_len ||
      prompt_tokens + max_tokens > profile_.max_model_len) {
    return too_long(profile_.max_model_len, "the model's context");
  }
  // The last token of an answer is never computed on.
  const uint64_t blocks =
      (prompt_tokens + max_tokens - 1 + profile_.block_size - 1) / profile_.block_size;
  if (blocks > profile_.kv_blocks()) {
    return too_long(profile_.kv_blocks() * profile_.block_size, "the KV cache");
  }
  return {};
}

SequenceId Engine::State::submit(SequenceRequest request, TimePoint now) {
  KVASIR_ASSERT(check(request.prompt.size(), request.max_tokens), "only what can run is submitted");
  auto sequence = std::make_unique<Sequence>();
  sequence->id = SequenceId{++last_id_};
  sequence->priority = request.priority;
  sequence->prompt_tokens = static_cast<uint32_t>(request.prompt.size());
  sequence->max_tokens = request.max_tokens;
  sequence->answer_seed = request.answer_seed;
  sequence->script = std::move(request.script);
  sequence->times.submitted = now;
  sequence->adapter = std::move(request.adapter);
  sequence->salt_text = std::move(request.salt_text);
  sequence->keep_blocks = request.keep_blocks;
  sequence->remote_end =
      std::min(request.remote_blocks, (sequence->prompt_tokens - 1) / profile_.block_size);
  if (sequence->remote_end > 0) sequence->remote = RemoteBlocks::kWanted;
  batcher_.cache().start(*sequence, std::move(request.prompt), request.cache_salt);
  batcher_.add(*sequence);
  sequences_.emplace(last_id_, std::move(sequence));
  return SequenceId{last_id_};
}

void Engine::State::cancel(SequenceId id) {
  const auto found = sequences_.find(static_cast<uint64_t>(id));
  if (found == sequences_.end()) return;
  Sequence& sequence = *found->second;
  if (sequence.cancelled) return;
  const bool coming = sequence.remote == RemoteBlocks::kAwaited ||
                      (sequence.remote == RemoteBlocks::kArriving && !sequence.running);
  if (coming) {
    sequence.cancelled = true;
    batcher_.abandon(sequence);
    return;
  }
  if (step_running_ && sequence.scheduled > 0) {
    sequence.cancelled = true;
    return;
  }
  batcher_.remove(sequence);
  sequences_.erase(found);
}

const KeptBlocks* Engine::State::kept(SequenceId id) const {
  const auto found = kept_.find(static_cast<uint64_t>(id));
  return found == kept_.end() ? nullptr : &found->second;
}

void Engine::State::release_kept(SequenceId id) {
  const auto found = kept_.find(static_cast<uint64_t>(id));
  if (found == kept_.end()) return;
  batcher_.cache().release(found->second);
  kept_.erase(found);
}

void Engine::State::arriving(SequenceId id) {
  const auto found = sequences_.find(static_cast<uint64_t>(id));
  if (found == sequences_.end() || found->second->cancelled) return;
  if (found->second->remote == RemoteBlocks::kAwaited) batcher_.arriving(*found->second);
}

void Engine::State::arrived(SequenceId id, uint32_t blocks) {
  const auto found = sequences_.find(static_cast<uint64_t>(id));
  if (found == sequences_.end()) return;
  Sequence& sequence = *found->second;
  if (sequence.remote == RemoteBlocks::kAwaited && sequence.cancelled) {
    batcher_.cache().release(sequence);
    sequences_.erase(found);
  } else if (sequence.remote == RemoteBlocks::kAwaited ||
             sequence.remote == RemoteBlocks::kArriving) {
    batcher_.arrived(sequence, blocks);
  }
}

std::optional<Duration> Engine::State::start_step(TimePoint now) {
  if (step_running_) return std::nullopt;
  const StepWork work = batcher_.plan(now);
  if (work.tokens == 0) return std::nullopt;
  step_running_ = true;
  last_step_tokens_ = static_cast<uint32_t>(work.tokens);
  ++totals_.steps;
  return from_seconds(model_.step_seconds(work) + load_seconds());
}

// What comes from the CPU tier is there before the step begins.
double Engine::State::load_seconds() const {
  const auto bytes = static_cast<double>(batcher_.loading() * profile_.kv_bytes_per_token);
  return bytes == 0 ? 0 : bytes / (profile_.host_link_gb_per_s * 1e9);
}

const std::vector<TokenEvent>& Engine::State::finish_step(TimePoint now) {
  KVASIR_ASSERT(step_running_ && !step_waits(), "a step is running, on blocks that are there");
  step_running_ = false;
  events_.clear();
  gone_.clear();
  batcher_.sweep([&](Sequence& sequence) { return advance(sequence, now); });
  for (const SequenceId id : gone_) sequences_.erase(static_cast<uint64_t>(id));
  return events_;
}

bool Engine::State::advance(Sequence& sequence, TimePoint now) {
  sequence.computed += sequence.scheduled;
  sequence.scheduled = 0;
  if (has_memory_ && !sequence.script) batcher_.cache().fold(sequence);
  if (!sequence.cancelled && sequence.computed == sequence.tokens()) make_token(sequence, now);
  const bool leaves = sequence.cancelled || sequence.generated == sequence.max_tokens;
  if (leaves) gone_.push_back(sequence.id);
  if (leaves && sequence.keep_blocks && !sequence.cancelled) {
    kept_.emplace(static_cast<uint64_t>(sequence.id), batcher_.cache().keep(sequence));
  }
  return !leaves;
}

void Engine::State::make_token(Sequence& sequence, TimePoint now) {
  if (sequence.generated == 0) {
    sequence.times.first_token = now;
    totals_.prompt_tokens += sequence.prompt_tokens;
  }
  TokenEvent event;
  event.sequence = sequence.id;
  event.token = next_token(sequence);
  event.position = sequence.generated++;
  event.finished = sequence.generated == sequence.max_tokens;
  event.cached_tokens = sequence.cached_tokens + sequence.external_tokens;
  event.external_tokens = sequence.external_tokens;
  event.times = sequence.times;
  events_.push_back(event);
  ++totals_.generation_tokens;
  if (!event.finished) batcher_.cache().append(sequence, event.token);
}

TokenId Engine::State::next_token(const Sequence& sequence) const {
  if (sequence.script) return sequence.script->at(sequence.generated);
  const uint64_t seed = sequence.answer_seed;
  return answer_token(has_memory_ ? seed ^ batcher_.cache().read_state(sequence) : seed,
                      sequence.generated);
}

EngineStats Engine::State::stats() const {
  EngineStats stats = totals_;
  const BlockPool& pool = batcher_.cache().pool();
  stats.num_requests_running = static_cast<uint32_t>(batcher_.running());
  stats.num_requests_waiting = static_cast<uint32_t>(batcher_.waiting());
  stats.kv_cache_usage = 1 - static_cast<double>(pool.free_count()) / pool.size();
  stats.prefix_cache_queries = batcher_.admissions().tokens;
  stats.prefix_cache_hits = batcher_.admissions().cached_tokens;
  stats.external_prefix_cache_queries = batcher_.admissions().missing_tokens;
  stats.external_prefix_cache_hits = batcher_.admissions().external_tokens;
  stats.cpu_cache_hits = batcher_.admissions().loaded_tokens;
  stats.cpu_blocks = batcher_.cache().cpu_tier().size();
  stats.num_preemptions = batcher_.preemptions();
  return stats;
}

bool Engine::State::consistent() const {
  uint64_t references = 0;
  size_t abandoned = 0;
  for (const auto& entry : kept_) references += entry.second.blocks.size();
  for (const auto& entry : sequences_) {
    const Sequence& sequence = *entry.second;
    references += sequence.blocks.size();
    abandoned += sequence.cancelled && sequence.remote == RemoteBlocks::kAwaited ? 1 : 0;
    if (!sequence.running && sequence.remote_end == 0 && !sequence.blocks.empty()) return false;
    if (sequence.computed > sequence.blocks.size() * profile_.block_size) return false;
  }
  return batcher_.running() + batcher_.waiting() + abandoned == sequences_.size() &&
         batcher_.cache().pool().consistent(references);
}

Engine::Engine(const EngineProfile& profile, const EngineOptions& options, KvEventSink* events)
    : state_(std::make_unique<State>(profile, options, events)) {}
Engine::~Engine() = default;

Result<void> Engine::check(uint64_t prompt_tokens, uint32_t max_tokens) const {
  return state_->check(prompt_tokens, max_tokens);
}
SequenceId Engine::submit(SequenceRequest request, TimePoint now) {
  return state_->submit(std::move(request), now);
}
void Engine::cancel(SequenceId sequence) {
  state_->cancel(sequence);
}
std::optional<Duration> Engine::start_step(TimePoint now) {
  return state_->start_step(now);
}
bool Engine::step_running() const {
  return state_->step_running();
}
bool Engine::step_waits() const {
  return state_->step_waits();
}
const std::vector<TokenEvent>& Engine::finish_step(TimePoint now) {
  return state_->finish_step(now);
}
const KeptBlocks* Engine::kept(SequenceId sequence) const {
  return state_->kept(sequence);
}
void Engine::release_kept(SequenceId sequence) {
  state_->release_kept(sequence);
}
std::vector<WantedBlocks> Engine::take_wanted() {
  return state_->take_wanted();
}
void Engine::arriving(SequenceId sequence) {
  state_->arriving(sequence);
}
void Engine::arrived(SequenceId sequence, uint32_t blocks) {
  state_->arrived(sequence, blocks);
}
uint32_t Engine::last_step_tokens() const {
  return state_->last_step_tokens();
}
size_t Engine::cached_blocks(std::span<const BlockHash> chain) const {
  return state_->cached_blocks(chain);
}

EngineStats Engine::stats() const {
  return state_->stats();
}
bool Engine::reset_prefix_cache() {
  return state_->reset_prefix_cache();
}
std::vector<BlockHash> Engine::cached_hashes() const {
  return state_->cached_hashes();
}
bool Engine::consistent() const {
  return state_->consistent();
}

}  // namespace kvasir
