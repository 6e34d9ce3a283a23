// Decides what each step computes: continuous batching as vLLM V1's scheduler does it
// (v1/core/sched/scheduler.py), with the token budget, the seats and the KV blocks of the profile.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/kv_cache.h"
#include "engine/sequence.h"
#include "engine/waiting_queue.h"
#include "timing/engine_profile.h"
#include "timing/step_model.h"

namespace kvasir {

// Totals over first admissions.
struct Admissions {
  uint64_t tokens = 0;  // looked up in the prefix cache, when there is one
  uint64_t cached_tokens = 0;
  uint64_t loaded_tokens = 0;    // of those, from the CPU tier
  uint64_t external_tokens = 0;  // from elsewhere
  uint64_t missing_tokens = 0;   // looked for elsewhere
};

class Batcher {
 public:
  // `events`: told of the blocks of the cache; may be null.
  Batcher(const EngineProfile& profile, const EngineOptions& options, KvEventSink* events);

  KvCache& cache() { return cache_; }
  const KvCache& cache() const { return cache_; }

  // The sequences stay the caller's until they are removed.
  void add(Sequence& sequence) { waiting_.push(sequence); }

  // Takes a sequence that waits or runs out of the batcher and frees its blocks. Precondition: none
  // come to it from elsewhere.
  void remove(Sequence& sequence);

  // A sequence whose blocks are kAwaited or kArriving, and which runs in no step, is cancelled: it
  // stays kAwaited, in no queue and counted nowhere, until its owner hears that they came.
  void abandon(Sequence& sequence);
  // Who got room since the last call.
  std::vector<WantedBlocks> take_wanted() { return std::exchange(wanted_, {}); }
  // Precondition of both: the blocks of the sequence are kAwaited; of arrived(): or kArriving.
  void arriving(Sequence& sequence);
  void arrived(Sequence& sequence, uint32_t blocks);
  // Whether a sequence of the running step is kArriving.
  bool step_waits() const { return arriving_ > 0; }

  // Plans a step: sets `scheduled` of the sequences it computes. The work is empty when there is
  // nothing to do. `now` becomes the time of first admissions.
  StepWork plan(TimePoint now);
  // Tokens whose KV has to be loaded from the CPU tier before the step that plan() made.
  uint64_t loading() const { return loading_; }

  // Calls `keep(sequence)` for each running sequence in batch order; removes those for which it is
  // false.
  template <class Keep>
  void sweep(Keep&& keep) {
    size_t kept = 0;
    for (Sequence* sequence : running_) {
      if (keep(*sequence)) {
        running_[kept++] = sequence;
      } else {
        cache_.release(*sequence);
      }
    }
    running_.resize(kept);
  }

  size_t running() const { return running_.size(); }
  size_t waiting() const { return waiting_.size() + awaited_; }
  uint64_t preemptions() const { return preemptions_; }
  const Admissions& admissions() const { return admissions_; }

 private:
  bool continue_running(uint32_t& budget);
  void admit_waiting(uint32_t& budget, TimePoint now);
  bool want(Sequence& sequence);
  bool give_way(bool to_front);
  void admit(Sequence& sequence, TimePoint now);
  size_t victim() const;
  void preempt(size_t index);

  const uint32_t budget_;
  const uint32_t seats_;
  const EngineOptions options_;
  KvCache cache_;
  WaitingQueue waiting_;
  std::vector<Sequence*> running_;  // in order of admission
  size_t awaited_ = 0;              // sequences whose blocks are kAwaited
  size_t arriving_ = 0;             // running sequences whose blocks are kArriving
  std::vector<WantedBlocks> wanted_;
  uint64_t preemptions_ = 0;
  uint64_t loading_ = 0;
  Admissions admissions_;
};

}  // namespace kvasir
