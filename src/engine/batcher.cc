#include "engine/batcher.h"

#include <algorithm>

#include "base/assert.h"

namespace kvasir {
namespace {

void add_work(StepWork& work, const Sequence& sequence) {
  const bool decoding = sequence.generated > 0 && sequence.computed + 1 == sequence.tokens();
  if (decoding) {
    work.add_decode(sequence.tokens());
  } else {
    work.add_prefill(sequence.scheduled, sequence.computed);
  }
}

}  // namespace

Batcher::Batcher(const EngineProfile& profile, const EngineOptions& options, KvEventSink* events)
    : budget_(profile.max_num_batched_tokens),
      seats_(profile.max_num_seqs),
      options_(options),
      cache_({static_cast<uint32_t>(profile.kv_blocks()), profile.block_size,
              options.prefix_caching, options.cpu_blocks, events, options.memory}),
      waiting_(options.order) {}

void Batcher::remove(Sequence& sequence) {
  if (sequence.running) {
    running_.erase(std::find(running_.begin(), running_.end(), &sequence));
  } else {
    waiting_.remove(sequence);
  }
  cache_.release(sequence);
}

void Batcher::abandon(Sequence& sequence) {
  if (sequence.remote == RemoteBlocks::kAwaited) {
    --awaited_;
  } else {
    waiting_.remove(sequence);
    sequence.remote = RemoteBlocks::kAwaited;
  }
}

// The first to run when there is a seat: it waited for its blocks long enough.
void Batcher::arriving(Sequence& sequence) {
  cache_.arriving(sequence);
  --awaited_;
  waiting_.push_preempted(sequence);
}

void Batcher::arrived(Sequence& sequence, uint32_t blocks) {
  if (sequence.remote == RemoteBlocks::kAwaited) {
    --awaited_;
    waiting_.push_preempted(sequence);
  } else if (sequence.running) {
    --arriving_;
  }
  cache_.arrived(sequence, blocks);
  admissions_.external_tokens += sequence.external_tokens;
}

StepWork Batcher::plan(TimePoint now) {
  uint32_t budget = budget_;
  loading_ = 0;
  if (continue_running(budget) || running_.empty()) admit_waiting(budget, now);
  while (running_.empty() && give_way(true)) admit_waiting(budget, now);
  StepWork work;
  for (const Sequence* sequence : running_) {
    if (sequence->scheduled > 0) add_work(work, *sequence);
  }
  KVASIR_ASSERT(work.tokens > 0 || running_.empty(), "work makes progress");
  return work;
}

// False when a sequence was preempted: then nobody is admitted in this step, as blocks are short.
bool Batcher::continue_running(uint32_t& budget) {
  bool enough = true;
  for (size_t i = 0; i < running_.size() && budget > 0;) {
    Sequence& sequence = *running_[i];
    const uint32_t tokens = std::min(sequence.tokens() - sequence.computed, budget);
    if (cache_.grow(sequence, tokens)) {
      budget -= tokens;
      ++i;
      continue;
    }
    if (running_.size() == 1 && give_way(false)) continue;
    const size_t index = victim();
    budget += running_[index]->scheduled;
    preempt(index);
    if (index < i) --i;
    enough = false;
  }
  return enough;
}

// The head of the queue waits for its blocks, and everyone else behind it: else long prompts
// starve.
void Batcher::admit_waiting(uint32_t& budget, TimePoint now) {
  while (!waiting_.empty() && budget > 0 && running_.size() < seats_) {
    Sequence& sequence = waiting_.front();
    if (sequence.remote == RemoteBlocks::kWanted) {
      if (!cache_.make_room(sequence)) return;
      if (want(sequence)) continue;
    }
    if (!cache_.admit(sequence, budget)) return;
    waiting_.pop();
    admit(sequence, now);
    budget -= sequence.scheduled;
  }
}

// What waits for its blocks stops nobody behind it (vLLM skips it). False: all of them are cached.
bool Batcher::want(Sequence& sequence) {
  if (sequence.remote != RemoteBlocks::kAwaited) return false;
  waiting_.pop();
  ++awaited_;
  const auto first = sequence.blocks.begin() + sequence.remote_first;
  wanted_.push_back({sequence.id, sequence.remote_first, {first, sequence.blocks.end()}});
  return true;
}

// Sequences that wait with blocks, since these came from elsewhere, could keep each other, or the
// only one that runs, from going on for ever. The last of them gives its blocks up, to be computed
// here: to whoever runs, or to the front. False: nobody is in the way.
bool Batcher::give_way(bool to_front) {
  Sequence* last = waiting_.last(to_front, [](const Sequence& sequence) {
    return !sequence.blocks.empty() && sequence.remote == RemoteBlocks::kNone;
  });
  if (last == nullptr) return false;
  cache_.release(*last);
  last->external_tokens = 0;
  return true;
}

void Batcher::admit(Sequence& sequence, TimePoint now) {
  running_.push_back(&sequence);
  sequence.running = true;
  if (sequence.remote == RemoteBlocks::kArriving) ++arriving_;
  if (sequence.remote == RemoteBlocks::kWanted) {
    sequence.remote = RemoteBlocks::kNone;
    wanted_.push_back({sequence.id, sequence.remote_end, {}});
  }
  loading_ += sequence.loaded;
  if (sequence.admitted_before) return;
  sequence.admitted_before = true;
  sequence.times.scheduled = now;
  sequence.cached_tokens = sequence.computed - sequence.external_tokens;
  if (options_.prefix_caching) admissions_.tokens += sequence.prompt_tokens;
  admissions_.cached_tokens += sequence.cached_tokens;
  admissions_.loaded_tokens += sequence.loaded;
  admissions_.missing_tokens += sequence.prompt_tokens - sequence.cached_tokens;
}

size_t Batcher::victim() const {
  if (options_.order == WaitingOrder::kFcfs) return running_.size() - 1;
  const auto last = std::max_element(
      running_.begin(), running_.end(),
      [](const Sequence* left, const Sequence* right) { return goes_before(*left, *right); });
  return static_cast<size_t>(last - running_.begin());
}

void Batcher::preempt(size_t index) {
  Sequence& sequence = *running_[index];
  running_.erase(running_.begin() + static_cast<ptrdiff_t>(index));
  cache_.release(sequence);
  sequence.running = false;
  waiting_.push_preempted(sequence);
  ++preemptions_;
}

}  // namespace kvasir
